{{/* What works and should not stay so, for NOTES. */}}
{{- define "horarium.warnings" -}}
{{- $said := list -}}
{{- if .Values.mongodb.dev.enabled -}}{{- $said = append $said "mongodb.dev: one member, no password, no backup. Use a replica set of three by mongodb.existingSecret." -}}{{- end -}}
{{- if .Values.broker.dev.enabled -}}{{- $said = append $said "broker.dev: no password. Use broker.existingSecret." -}}{{- end -}}
{{- range $kind := list "mongodb" "broker" -}}
{{- if (index $.Values $kind).url -}}{{- $said = append $said (printf "%s.url: the password stands in the release's values. Use %s.existingSecret." $kind $kind) -}}{{- end -}}
{{- end -}}
{{- $versions := dict -}}
{{- with .Values.mongodb.version }}{{- $_ := set $versions "mongodb.version" . }}{{- end -}}
{{- if .Values.mongodb.dev.enabled }}{{- $_ := set $versions "mongodb.dev.image.tag" .Values.mongodb.dev.image.tag }}{{- end -}}
{{- range $key, $version := $versions -}}
{{- if include "horarium.unsafeMongodb" $version -}}{{- $said = append $said (printf "%s: MongoDB %s lets anybody who reaches its port read memory (CVE-2025-14847). Use at least %s." $key $version (include "horarium.unsafeMongodb" $version)) -}}{{- end -}}
{{- end -}}
{{- if not (include "horarium.poolNames" . | fromJsonArray) -}}{{- $said = append $said "workerPools: there is none, so firings wait until somebody else's workers serve their pools." -}}{{- end -}}
{{- range $name := include "horarium.poolNames" . | fromJsonArray -}}
{{- $pool := include "horarium.pool" (dict "root" $ "name" $name) | fromYaml -}}
{{- if and (eq $pool.autoscaling.mode "hpa") (not $pool.autoscaling.hpa.metrics) -}}{{- $said = append $said (printf "workerPools.%s: an HPA on CPU does not see firings that wait. Use keda, or an External metric of horarium_pool_slots." $name) -}}{{- end -}}
{{- end -}}
{{- if lt (int .Values.node.replicas) 2 -}}{{- $said = append $said "node.replicas: with one node nothing is claimed while its pod moves." -}}{{- end -}}
{{- if not .Values.networkPolicy.enabled -}}{{- $said = append $said "networkPolicy.enabled: off; every pod of the cluster reaches the telemetry port." -}}{{- end -}}
{{- if not (or .Values.metrics.podMonitor.enabled .Values.metrics.prometheusRule.enabled) -}}{{- $said = append $said "metrics: nothing scrapes and nothing alerts; see metrics.podMonitor and metrics.prometheusRule." -}}{{- end -}}
{{- if eq .Values.image.tag "latest" -}}{{- $said = append $said "image.tag: latest moves under you. Name a version or a digest." -}}{{- end -}}
{{- toJson $said -}}
{{- end -}}

{{/* The lowest safe patch release of a MongoDB version's series, or nothing if the version is safe. */}}
{{- define "horarium.unsafeMongodb" -}}
{{- $version := . -}}
{{- range $from, $safe := dict "6.0.0" "6.0.27" "7.0.0" "7.0.28" "8.0.0" "8.0.17" "8.2.0" "8.2.3" -}}
{{- if regexMatch "^[0-9]+\\.[0-9]+\\.[0-9]+" $version -}}
{{- if and (eq (regexFind "^[0-9]+\\.[0-9]+" $version) (regexFind "^[0-9]+\\.[0-9]+" $from)) (semverCompare (printf "<%s" $safe) (regexFind "^[0-9]+\\.[0-9]+\\.[0-9]+" $version)) -}}{{- $safe -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
