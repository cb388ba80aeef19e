{{/* One pod for every component: restricted, read-only, without a token.  Called with

root       the chart's top
conf       the component's values
component  node, worker, api, tenants, test
pool       a worker's pool (its key in the values)
args       list of arguments of `horarium`
env        own environment, a list
mounts, volumes   own ones, lists
probes     whether the telemetry port is probed
http       container port of the API, or 0
grace      seconds
restart    restart policy, for jobs
preStop    seconds to sleep before SIGTERM, or 0
account    name of the service account
annotations   of the pod
*/}}
{{- define "horarium.podTemplate" -}}
{{- $root := .root -}}{{- $v := .root.Values -}}{{- $c := .conf -}}
metadata:
  {{- $annotations := mergeOverwrite (deepCopy $v.commonAnnotations) (deepCopy $v.podAnnotations) (deepCopy (default dict $c.podAnnotations)) (default dict .annotations) }}
  {{- if not (and $v.mongodb.existingSecret $v.broker.existingSecret) }}
  {{- $_ := set $annotations "checksum/connections" (include "horarium.connectionsChecksum" $root) }}
  {{- end }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  labels:
    {{- $labels := mergeOverwrite (deepCopy $v.commonLabels) (deepCopy $v.podLabels) (deepCopy (default dict $c.podLabels)) (include "horarium.selector" . | fromYaml) }}
    {{- toYaml $labels | nindent 4 }}
spec:
  {{- with include "horarium.pullSecrets" $root | trim }}{{ . | nindent 2 }}{{ end }}
  serviceAccountName: {{ default (include "horarium.serviceAccount" $root) .account | quote }}
  automountServiceAccountToken: false
  # A Service named "horarium" would otherwise inject HORARIUM_PORT=tcp://... into the settings.
  enableServiceLinks: false
  {{- with .restart }}
  restartPolicy: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ int .grace }}
  {{- with mergeOverwrite (deepCopy $v.podSecurityContext) (deepCopy (default dict $c.podSecurityContext)) }}
  securityContext:
    {{- include "horarium.compact" . | nindent 4 }}
  {{- end }}
  {{- with include "horarium.placement" . | trim }}{{ . | nindent 2 }}{{ end }}
  {{- with $c.initContainers }}
  initContainers:
    {{- tpl (toYaml .) $root | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .component }}
      {{- include "horarium.container" . | nindent 6 }}
    {{- with $c.extraContainers }}
    {{- tpl (toYaml .) $root | nindent 4 }}
    {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: {{ $v.tmpSizeLimit | quote }}}
    {{- with include "horarium.tlsVolumes" $root | trim }}{{ . | nindent 4 }}{{ end }}
    {{- with .volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with concat $v.extraVolumes (default list $c.extraVolumes) }}
    {{- tpl (toYaml .) $root | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "horarium.container" -}}
{{- $root := .root -}}{{- $v := .root.Values -}}{{- $c := .conf -}}
{{- $image := mergeOverwrite (deepCopy $v.image) (deepCopy (default dict $c.image)) -}}
image: {{ include "horarium.image" (dict "root" $root "image" $image) | quote }}
imagePullPolicy: {{ $image.pullPolicy }}
# Exec form: the process is PID 1 and gets SIGTERM itself.
command: [horarium]
args:
  {{- toYaml (concat .args (default list $c.extraArgs)) | nindent 2 }}
env:
  {{- include "horarium.connectionEnv" $root | nindent 2 }}
  {{- with .env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with concat $v.extraEnv (default list $c.extraEnv) }}
  {{- tpl (toYaml .) $root | nindent 2 }}
  {{- end }}
{{- with concat $v.extraEnvFrom (default list $c.extraEnvFrom) }}
envFrom:
  {{- tpl (toYaml .) $root | nindent 2 }}
{{- end }}
{{- if .probes }}
ports:
  - {name: telemetry, containerPort: {{ $v.telemetryPort }}, protocol: TCP}
  {{- if .http }}
  - {name: http, containerPort: {{ .http }}, protocol: TCP}
  {{- end }}
startupProbe:
  httpGet: {path: /healthz, port: telemetry}
  {{- toYaml $c.probes.startup | nindent 2 }}
livenessProbe:
  httpGet: {path: /healthz, port: telemetry}
  {{- toYaml $c.probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: telemetry}
  {{- toYaml $c.probes.readiness | nindent 2 }}
{{- end }}
{{- if $c.lifecycle }}
lifecycle:
  {{- toYaml $c.lifecycle | nindent 2 }}
{{- else if .preStop }}
lifecycle:
  # Not the native sleep action: 1.29, the oldest cluster served, has it behind a gate.
  preStop: {exec: {command: [sleep, {{ .preStop | int | toString | quote }}]}}
{{- end }}
resources:
  {{- toYaml $c.resources | nindent 2 }}
{{- with mergeOverwrite (deepCopy $v.securityContext) (deepCopy (default dict $c.securityContext)) }}
securityContext:
  {{- include "horarium.compact" . | nindent 2 }}
{{- end }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- with include "horarium.tlsMounts" $root | trim }}{{ . | nindent 2 }}{{ end }}
  {{- with .mounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with concat $v.extraVolumeMounts (default list $c.extraVolumeMounts) }}
  {{- tpl (toYaml .) $root | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Where a pod may run: maps of the component are laid over the global ones, lists and words replace them. */}}
{{- define "horarium.placement" -}}
{{- $v := .root.Values -}}{{- $c := .conf -}}
{{- range $key := list "nodeSelector" "affinity" "dnsConfig" }}
{{- with mergeOverwrite (deepCopy (index $v $key)) (deepCopy (default dict (index $c $key))) }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $key := list "tolerations" "hostAliases" }}
{{- with default (index $v $key) (index $c $key) }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $key := list "priorityClassName" "runtimeClassName" "schedulerName" "dnsPolicy" }}
{{- with default (index $v $key) (index $c $key) }}
{{ $key }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- with $c.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ toYaml (mergeOverwrite (dict "labelSelector" (dict "matchLabels" (include "horarium.selector" $ | fromYaml)) "matchLabelKeys" (list "pod-template-hash")) (deepCopy .)) | indent 4 | trim }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* (root, conf, component, pool?, name) → the rest of a Deployment's spec, without replicas. */}}
{{- define "horarium.rollout" -}}
revisionHistoryLimit: {{ int (default 5 .conf.revisionHistoryLimit) }}
{{- with .conf.minReadySeconds }}
minReadySeconds: {{ int . }}
{{- end }}
{{- with .conf.progressDeadlineSeconds }}
progressDeadlineSeconds: {{ int . }}
{{- end }}
{{- with .conf.strategy }}
strategy:
  {{- toYaml . | nindent 2 }}
{{- end }}
selector:
  matchLabels:
    {{- include "horarium.selector" . | nindent 4 }}
{{- end -}}

{{/* (root, conf, component, pool?, name, most?) → a PodDisruptionBudget, unless there is one pod only: it would block
every drain of a Kubernetes node. */}}
{{- define "horarium.pdb" -}}
{{- if and .conf.podDisruptionBudget.enabled (gt (int .most) 1) }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "horarium.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .conf.podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "horarium.selector" . | nindent 6 }}
{{- end }}
{{- end -}}

{{/* What nodes, workers and API are told beside their connections. */}}
{{- define "horarium.processEnv" -}}
{{- $env := list (dict "name" "HORARIUM_HTTP_HOST" "value" "0.0.0.0") (dict "name" "HORARIUM_HTTP_PORT" "value" (.Values.telemetryPort | int | toString)) (dict "name" "HORARIUM_LOGLEVEL" "value" .Values.logLevel) -}}
{{- with .Values.metrics.tenants }}{{- $env = append $env (dict "name" "HORARIUM_METRICS_TENANTS" "value" (join "," .)) }}{{- end -}}
{{- range $name, $value := .Values.settings }}{{- $env = append $env (dict "name" (printf "HORARIUM_%s" (upper $name)) "value" (toString $value)) }}{{- end -}}
{{- toYaml $env -}}
{{- end -}}

{{- define "horarium.podName" -}}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
{{- end -}}
