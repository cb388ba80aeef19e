{{/* (root, name) → a pool's values over the defaults, with what follows from them. */}}
{{- define "horarium.pool" -}}
{{- $own := default dict (index .root.Values.workerPools .name) -}}
{{- $pool := mergeOverwrite (deepCopy .root.Values.workerDefaults) (deepCopy $own) -}}
{{- $_ := set $pool "pool" (default .name $pool.pool) -}}
{{- $grace := add (int $pool.drainTimeoutSeconds) 30 -}}
{{- with $pool.terminationGracePeriodSeconds }}{{- $grace = int . -}}{{- end -}}
{{- $_ := set $pool "grace" $grace -}}
{{- $_ := set $pool "objectName" (printf "%s-worker-%s" (include "horarium.fullname" .root) .name) -}}
{{- include "horarium.compact" $pool -}}
{{- end -}}

{{/* Names of the pools that are rendered, as a JSON list. */}}
{{- define "horarium.poolNames" -}}
{{- $names := list -}}
{{- range $name, $own := .Values.workerPools -}}
{{- $pool := mergeOverwrite (deepCopy $.Values.workerDefaults) (deepCopy (default dict $own)) -}}
{{- if $pool.enabled -}}{{- $names = append $names $name -}}{{- end -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{/* (root, pool) → the address of the pool's demand. */}}
{{- define "horarium.demandUrl" -}}
{{- $base := .pool.autoscaling.keda.apiUrl -}}
{{- if not $base -}}
{{- $base = printf "http://%s-api.%s.svc:%d" (include "horarium.fullname" .root) (include "horarium.namespace" .root) (int .root.Values.api.service.port) -}}
{{- end -}}
{{- printf "%s/v1/pools/%s/demand" (trimSuffix "/" $base) .pool.pool -}}
{{- end -}}
