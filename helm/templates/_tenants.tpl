{{/* The pod that applies tenants. */}}
{{- define "horarium.tenantsPod" -}}
{{- $args := list "apply" -}}
{{- $volumes := list -}}{{- $mounts := list -}}
{{- if .Values.tenants -}}
{{- range $tenant, $body := .Values.tenants -}}{{- $args = concat $args (list "-f" (printf "/etc/horarium/tenants/%s.yaml" $tenant)) -}}{{- end -}}
{{- $volumes = append $volumes (dict "name" "tenants" "configMap" (dict "name" (printf "%s-tenants" (include "horarium.fullname" .)))) -}}
{{- $mounts = append $mounts (dict "name" "tenants" "mountPath" "/etc/horarium/tenants" "readOnly" true) -}}
{{- end -}}
{{- if .Values.tenantsExistingConfigMap -}}
{{- $args = concat $args (list "-f" "/etc/horarium/more-tenants") -}}
{{- $volumes = append $volumes (dict "name" "more-tenants" "configMap" (dict "name" .Values.tenantsExistingConfigMap)) -}}
{{- $mounts = append $mounts (dict "name" "more-tenants" "mountPath" "/etc/horarium/more-tenants" "readOnly" true) -}}
{{- end -}}
{{- $args = concat $args .Values.tenantSync.extraArgs -}}
{{- include "horarium.podTemplate" (dict "root" . "conf" .Values.tenantSync "component" "tenants" "args" $args "volumes" $volumes "mounts" $mounts "probes" false "grace" 30 "restart" "OnFailure") -}}
{{- end -}}

{{- define "horarium.externalUrl" -}}
{{- if .Values.api.externalUrl -}}
{{- .Values.api.externalUrl -}}
{{- else if .Values.ingress.enabled -}}
{{- $first := index .Values.ingress.hosts 0 -}}
{{- printf "%s://%s" (ternary "https" "http" (gt (len .Values.ingress.tls) 0)) (tpl $first.host .) -}}
{{- else if and .Values.httpRoute.enabled .Values.httpRoute.hostnames -}}
{{- printf "https://%s" (index .Values.httpRoute.hostnames 0) -}}
{{- end -}}
{{- end -}}

{{- define "horarium.testPod" -}}
{{- $name := printf "%s-test" (include "horarium.fullname" .) -}}
{{- $volumes := list (dict "name" "script" "configMap" (dict "name" $name)) -}}
{{- $mounts := list (dict "name" "script" "mountPath" "/etc/horarium/test" "readOnly" true) -}}
{{- $args := list "/etc/horarium/test/run.py" (.Values.tests.timeoutSeconds | int | toString) (include "horarium.testedPools" . | fromJsonArray | join ",") .Values.tests.task -}}
{{- $pod := include "horarium.podTemplate" (dict "root" . "conf" .Values.tests "component" "test" "args" $args "volumes" $volumes "mounts" $mounts "probes" false "grace" 10 "restart" "Never") | fromYaml -}}
{{- $_ := set (index $pod.spec.containers 0) "command" (list "python3") -}}
{{- toYaml $pod -}}
{{- end -}}

{{/* The pools that must have a worker when nothing is due: those that are scaled to zero are left out. */}}
{{- define "horarium.testedPools" -}}
{{- $names := list -}}
{{- range $name := include "horarium.poolNames" . | fromJsonArray -}}
{{- $pool := include "horarium.pool" (dict "root" $ "name" $name) | fromYaml -}}
{{- $least := ternary $pool.replicas $pool.autoscaling.minReplicas (eq $pool.autoscaling.mode "none") -}}
{{- if gt (int $least) 0 }}{{- $names = append $names $pool.pool }}{{- end -}}
{{- end -}}
{{- toJson (uniq $names) -}}
{{- end -}}
