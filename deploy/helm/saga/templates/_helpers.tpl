{{- define "saga.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "saga.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "saga.labels" -}}
{{ include "saga.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
{{- end -}}

{{- define "saga.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "saga.name" .) -}}
{{- end -}}

{{- /* config.yaml: what the values say, with the folders of the container. */ -}}
{{- define "saga.config" -}}
{{- range $key := list "store" "sagas" "schemas" -}}
{{- if hasKey $.Values.config $key -}}
{{- fail (printf "config.%s is set by the chart: use the values store, definitions and schemas" $key) -}}
{{- end -}}
{{- end -}}
{{- $config := mergeOverwrite (deepCopy .Values.config) (dict "sagas" "/definitions" "schemas" "/schemas") -}}
{{- if .Values.archive.claim -}}
{{- $config = mergeOverwrite $config (dict "archive" (dict "folder" "/archive")) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
