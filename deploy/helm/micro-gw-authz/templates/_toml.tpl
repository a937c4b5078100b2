{{/*
A TOML table from a map: its own keys first, then [tables] and [[arrays of tables]]. Helm's toToml writes whole numbers as
floats, as every number of a values file is one.
*/}}
{{- define "micro-gw-authz.toml" -}}
{{- $path := .path }}
{{- range $key, $value := .table }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value) (include "micro-gw-authz.toml.isTables" $value)) }}
{{ include "micro-gw-authz.toml.key" $key }} = {{ include "micro-gw-authz.toml.value" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := .table }}
{{- $below := include "micro-gw-authz.toml.key" $key }}
{{- if $path }}{{ $below = printf "%s.%s" $path $below }}{{ end }}
{{- if kindIs "map" $value }}

[{{ $below }}]
{{- include "micro-gw-authz.toml" (dict "path" $below "table" $value) }}
{{- else if include "micro-gw-authz.toml.isTables" $value }}
{{- range $value }}

[[{{ $below }}]]
{{- include "micro-gw-authz.toml" (dict "path" $below "table" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "micro-gw-authz.toml.isTables" -}}
{{- if kindIs "slice" . }}{{ if . }}{{ if kindIs "map" (first .) }}true{{ end }}{{ end }}{{ end }}
{{- end }}

{{- define "micro-gw-authz.toml.key" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toRawJson . }}{{ end }}
{{- end }}

{{/* A JSON string is a basic string of TOML. */}}
{{- define "micro-gw-authz.toml.value" -}}
{{- if kindIs "slice" . -}}
[{{ range $index, $item := . }}{{ if $index }}, {{ end }}{{ include "micro-gw-authz.toml.value" $item }}{{ end }}]
{{- else if kindIs "string" . -}}
{{ toRawJson . }}
{{- else if kindIs "bool" . -}}
{{ . }}
{{- else -}}
{{ int64 . }}
{{- end -}}
{{- end }}
