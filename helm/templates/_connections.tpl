{{/* How every process reaches MongoDB and the broker: whole URLs from Secrets, never put together from parts, so that
passwords with special characters work and nothing secret stands anywhere else. */}}

{{- define "horarium.mongodbSecret" -}}
{{- default (printf "%s-connections" (include "horarium.fullname" .)) .Values.mongodb.existingSecret -}}
{{- end -}}

{{- define "horarium.brokerSecret" -}}
{{- default (printf "%s-connections" (include "horarium.fullname" .)) .Values.broker.existingSecret -}}
{{- end -}}

{{- define "horarium.mongodbDevHost" -}}
{{- printf "%s-mongodb-0.%s-mongodb" (include "horarium.fullname" .) (include "horarium.fullname" .) -}}
{{- end -}}

{{- define "horarium.mongodbUrl" -}}
{{- if .Values.mongodb.dev.enabled -}}
{{- printf "mongodb://%s:27017/?replicaSet=rs0" (include "horarium.mongodbDevHost" .) -}}
{{- else -}}
{{- .Values.mongodb.url -}}
{{- end -}}
{{- end -}}

{{- define "horarium.brokerUrl" -}}
{{- if .Values.broker.dev.enabled -}}
{{- printf "redis://%s-valkey:6379/0" (include "horarium.fullname" .) -}}
{{- else -}}
{{- .Values.broker.url -}}
{{- end -}}
{{- end -}}

{{/* The part of a pod's annotations that makes it new when a Secret of this chart changes. */}}
{{- define "horarium.connectionsChecksum" -}}
{{- printf "%s\n%s" (include "horarium.mongodbUrl" .) (include "horarium.brokerUrl" .) | sha256sum -}}
{{- end -}}

{{- define "horarium.connectionEnv" -}}
- name: HORARIUM_MONGODB_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "horarium.mongodbSecret" . | quote }}
      key: {{ ternary .Values.mongodb.existingSecretKey "mongodb-url" (ne .Values.mongodb.existingSecret "") | quote }}
- name: HORARIUM_BROKER_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "horarium.brokerSecret" . | quote }}
      key: {{ ternary .Values.broker.existingSecretKey "broker-url" (ne .Values.broker.existingSecret "") | quote }}
- name: HORARIUM_DATABASE
  value: {{ .Values.mongodb.database | quote }}
{{- end -}}

{{- define "horarium.tlsVolumes" -}}
{{- range $kind := list "mongodb" "broker" }}
{{- $tls := (index $.Values $kind).tls }}
{{- if $tls.existingSecret }}
- name: tls-{{ $kind }}
  secret:
    secretName: {{ $tls.existingSecret | quote }}
    items: [{key: {{ $tls.caKey | quote }}, path: ca.crt}]
{{- end }}
{{- end }}
{{- end -}}

{{- define "horarium.tlsMounts" -}}
{{- range $kind := list "mongodb" "broker" }}
{{- if (index $.Values $kind).tls.existingSecret }}
- {name: tls-{{ $kind }}, mountPath: /etc/horarium/tls/{{ $kind }}, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}
