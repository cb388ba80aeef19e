{{/* Rules that span several values; everything about a single value is in values.schema.json.  All that is wrong is said
at once. */}}
{{- define "horarium.validate" -}}
{{- $faults := list -}}
{{- range $kind := list "mongodb" "broker" -}}
{{- $given := list -}}
{{- $at := index $.Values $kind -}}
{{- if $at.url }}{{- $given = append $given "url" }}{{- end -}}
{{- if $at.existingSecret }}{{- $given = append $given "existingSecret" }}{{- end -}}
{{- if $at.dev.enabled }}{{- $given = append $given "dev.enabled" }}{{- end -}}
{{- if eq (len $given) 0 -}}
{{- $faults = append $faults (printf "%s: say where it is: %s.existingSecret (a Secret with the whole URL), %s.url, or %s.dev.enabled to try things out" $kind $kind $kind $kind) -}}
{{- else if gt (len $given) 1 -}}
{{- $faults = append $faults (printf "%s: %s are given; keep one" $kind (join " and " $given)) -}}
{{- end -}}
{{- end -}}
{{- $pools := default list .Values.externalPools -}}
{{- range $name := include "horarium.poolNames" . | fromJsonArray -}}
{{- $pool := include "horarium.pool" (dict "root" $ "name" $name) | fromYaml -}}
{{- $pools = append $pools $pool.pool -}}
{{- $faults = concat $faults (include "horarium.poolFaults" (dict "root" $ "name" $name "pool" $pool) | fromJsonArray) -}}
{{- end -}}
{{- range $tenant, $body := .Values.tenants -}}
{{- $body = default dict $body -}}
{{- $named := list -}}
{{- with $body.pool }}{{- $named = append $named . }}{{- end -}}
{{- range $job := default dict $body.jobs -}}{{- with $job.pool }}{{- $named = append $named . }}{{- end -}}{{- end -}}
{{- if not $named }}{{- $named = list "default" }}{{- end -}}
{{- range $pool := uniq $named -}}
{{- if not (has $pool $pools) -}}
{{- $faults = append $faults (printf "tenants.%s: nothing serves the pool %q; have a look at workerPools (%s), or list it in externalPools" $tenant $pool (join ", " (uniq $pools))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not .Values.api.enabled -}}
{{- range $key := list "ingress" "httpRoute" -}}
{{- if (index $.Values $key).enabled -}}{{- $faults = append $faults (printf "%s.enabled: there is nothing to route to; set api.enabled as well" $key) -}}{{- end -}}
{{- end -}}
{{- if .Values.metrics.serviceMonitor.enabled -}}{{- $faults = append $faults "metrics.serviceMonitor.enabled: only the API has a Service; set api.enabled as well, or use metrics.podMonitor for nodes and workers" -}}{{- end -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}{{- $faults = append $faults "httpRoute.parentRefs: name the Gateway, as [{name: public, namespace: gateways}]" -}}{{- end -}}
{{- if lt (int .Values.node.terminationGracePeriodSeconds) 15 -}}{{- $faults = append $faults "node.terminationGracePeriodSeconds: at least 15, or a node is killed before it has ended what is under way" -}}{{- end -}}
{{- if lt (int .Values.api.terminationGracePeriodSeconds) (add (int .Values.api.preStopSleepSeconds) 10 | int) -}}{{- $faults = append $faults "api.terminationGracePeriodSeconds: at least api.preStopSleepSeconds + 10" -}}{{- end -}}
{{- if gt (int .Values.api.autoscaling.minReplicas) (int .Values.api.autoscaling.maxReplicas) -}}{{- $faults = append $faults "api.autoscaling.minReplicas: more than maxReplicas" -}}{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n\nThe values do not go together:\n  - %s\n" (join "\n  - " $faults)) -}}
{{- end -}}
{{- end -}}

{{/* (root, name, pool) → what is wrong with a pool, as a JSON list. */}}
{{- define "horarium.poolFaults" -}}
{{- $faults := list -}}{{- $pool := .pool -}}{{- $scaling := $pool.autoscaling -}}
{{- $at := printf "workerPools.%s" .name -}}
{{- $own := default dict (index .root.Values.workerPools .name) -}}
{{- if lt (int $pool.grace) (add (int $pool.drainTimeoutSeconds) 15 | int) -}}
{{- $faults = append $faults (printf "%s.terminationGracePeriodSeconds: %d is less than drainTimeoutSeconds + 15 (%d): firings would be killed while they drain" $at (int $pool.grace) (add (int $pool.drainTimeoutSeconds) 15)) -}}
{{- end -}}
{{- if ne $scaling.mode "none" -}}
{{- if hasKey $own "replicas" -}}{{- $faults = append $faults (printf "%s.replicas: the pool is scaled (autoscaling.mode %s), so a fixed number cannot be stated; use autoscaling.minReplicas" $at $scaling.mode) -}}{{- end -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}{{- $faults = append $faults (printf "%s.autoscaling: minReplicas (%d) is more than maxReplicas (%d)" $at (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}{{- end -}}
{{- end -}}
{{- if eq $scaling.mode "hpa" -}}
{{- if lt (int $scaling.minReplicas) 1 -}}{{- $faults = append $faults (printf "%s.autoscaling.minReplicas: an HPA cannot scale to 0; use mode keda" $at) -}}{{- end -}}
{{- if not (or $scaling.hpa.targetCPUUtilizationPercentage $scaling.hpa.targetMemoryUtilizationPercentage $scaling.hpa.metrics) -}}{{- $faults = append $faults (printf "%s.autoscaling.hpa: no metric is left; give a target or metrics" $at) -}}{{- end -}}
{{- if and $scaling.hpa.targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" (default dict $pool.resources))) -}}{{- $faults = append $faults (printf "%s.resources.requests.cpu: the HPA's CPU target is a percentage of it" $at) -}}{{- end -}}
{{- if and $scaling.hpa.targetMemoryUtilizationPercentage (not (dig "requests" "memory" "" (default dict $pool.resources))) -}}{{- $faults = append $faults (printf "%s.resources.requests.memory: the HPA's memory target is a percentage of it" $at) -}}{{- end -}}
{{- end -}}
{{- if eq $scaling.mode "keda" -}}
{{- $keda := $scaling.keda -}}
{{- if $keda.onlyTriggers -}}
{{- if not $keda.triggers -}}{{- $faults = append $faults (printf "%s.autoscaling.keda.triggers: onlyTriggers is set, and there are none" $at) -}}{{- end -}}
{{- else if and (eq $keda.source "api") (not $keda.apiUrl) (not .root.Values.api.enabled) -}}
{{- $faults = append $faults (printf "%s.autoscaling.keda: source api asks the API for the pool's demand; set api.enabled, keda.apiUrl, or source: prometheus" $at) -}}
{{- else if and (eq $keda.source "prometheus") (not $keda.serverAddress) -}}
{{- $faults = append $faults (printf "%s.autoscaling.keda.serverAddress: where is Prometheus? As http://prometheus.monitoring.svc:9090" $at) -}}
{{- end -}}
{{- if and $keda.cooldownPeriod (lt (int $keda.cooldownPeriod) (int $pool.grace)) -}}{{- $faults = append $faults (printf "%s.autoscaling.keda.cooldownPeriod: %d is less than the grace period (%d)" $at (int $keda.cooldownPeriod) (int $pool.grace)) -}}{{- end -}}
{{- if and $keda.existingSecret $keda.authenticationRef -}}{{- $faults = append $faults (printf "%s.autoscaling.keda: existingSecret and authenticationRef are given; keep one" $at) -}}{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}
