{{/* Names and labels.  Selectors are frozen: a Deployment's cannot be changed after the first release. */}}

{{- define "horarium.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 31 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 31 characters, so that "-worker-" and a pool's name fit; a cut name gets a hash, or two long releases
would share it. */}}
{{- define "horarium.fullname" -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- end -}}
{{- if gt (len $full) 31 -}}
{{- printf "%s-%s" ($full | trunc 24 | trimSuffix "-") (sha256sum $full | trunc 6) -}}
{{- else -}}
{{- $full -}}
{{- end -}}
{{- end -}}

{{- define "horarium.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "horarium.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* (root, component, pool?) → what selects pods. */}}
{{- define "horarium.selector" -}}
app.kubernetes.io/name: {{ include "horarium.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- with .pool }}
horarium/pool: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* (root, component?, pool?) → labels of an object. */}}
{{- define "horarium.labels" -}}
{{- $own := dict "app.kubernetes.io/name" (include "horarium.name" .root) "app.kubernetes.io/instance" .root.Release.Name "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_" | trunc 63) "app.kubernetes.io/managed-by" .root.Release.Service "app.kubernetes.io/part-of" "horarium" "helm.sh/chart" (include "horarium.chart" .root) -}}
{{- with .component }}{{- $_ := set $own "app.kubernetes.io/component" . }}{{- end -}}
{{- with .pool }}{{- $_ := set $own "horarium/pool" . }}{{- end -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.commonLabels) $own) -}}
{{- end -}}

{{/* (root, component?, pool?, name, labels?, annotations?, namespace?) → metadata of an object. */}}
{{- define "horarium.metadata" -}}
name: {{ .name | quote }}
namespace: {{ default (include "horarium.namespace" .root) .namespace | quote }}
labels:
  {{- toYaml (mergeOverwrite (deepCopy (default dict .labels)) (include "horarium.labels" . | fromYaml)) | nindent 2 }}
{{- with mergeOverwrite (deepCopy .root.Values.commonAnnotations) (default dict .annotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (root, image) → reference; a digest wins over the tag. */}}
{{- define "horarium.image" -}}
{{- $registry := default .root.Values.global.imageRegistry .image.registry -}}
{{- $path := .image.repository -}}
{{- with $registry }}{{- $path = printf "%s/%s" . $path }}{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $path .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $path (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "horarium.pullSecrets" -}}
{{- $names := list -}}
{{- range concat (default list .Values.global.imagePullSecrets) .Values.imagePullSecrets -}}
{{- if kindIs "string" . }}{{- $names = append $names . }}{{- else }}{{- $names = append $names .name }}{{- end -}}
{{- end -}}
{{- with uniq $names }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "horarium.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "horarium.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* A map without the keys that are null, at any depth: `runAsUser: null` leaves a field to the platform. */}}
{{- define "horarium.compact" -}}
{{- $kept := dict -}}
{{- range $key, $value := . -}}
{{- if kindIs "map" $value -}}
{{- $_ := set $kept $key (include "horarium.compact" $value | fromYaml) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $_ := set $kept $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $kept -}}
{{- end -}}
