{{- define "micro-gw-authz.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "micro-gw-authz.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 54 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name }}
{{- .Release.Name | trunc 54 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "micro-gw-authz.name" .) | trunc 54 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "micro-gw-authz.selectorLabels" -}}
app.kubernetes.io/name: {{ include "micro-gw-authz.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "micro-gw-authz.labels" -}}
{{ include "micro-gw-authz.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "micro-gw-authz.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "micro-gw-authz.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "micro-gw-authz.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* micro-gw.conf, whichever way it was given. */}}
{{- define "micro-gw-authz.conf" -}}
{{- if and .Values.config .Values.microGwConf }}
{{- fail "Set either config (keys) or microGwConf (text), not both." }}
{{- else if .Values.microGwConf }}
{{- .Values.microGwConf }}
{{- else if .Values.config }}
{{- include "micro-gw-authz.toml" (dict "path" "" "table" .Values.config) | trim }}
{{- else }}
{{- fail "There is no configuration: set config.keyManager.introspectUrl and how to authenticate, or microGwConf. docs/key-managers.md has an example for each server." }}
{{- end }}
{{- end }}
