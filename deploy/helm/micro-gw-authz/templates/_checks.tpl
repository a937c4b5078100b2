{{/* What would install and then not serve. It looks at the text of micro-gw.conf, so at what is written in its usual form only. */}}
{{- define "micro-gw-authz.check" -}}
{{- $conf := include "micro-gw-authz.conf" . }}
{{- if or (eq (int .Values.extAuthz.port) (int .Values.admin.port)) (has 9798 (list (int .Values.extAuthz.port) (int .Values.admin.port))) }}
{{- fail "extAuthz.port and admin.port must differ from each other and from 9798, which is the status page's." }}
{{- end }}
{{- if and (not .Values.extAuthz.tls.enabled) (regexMatch "(?mi)^[ \\t]*\\[[ \\t]*extAuthz[ \\t]*\\.[ \\t]*tls[ \\t]*\\]" $conf) }}
{{- fail "extAuthz.tls.enabled is false, but microGwConf has [extAuthz.tls], which would hold: take it out." }}
{{- end }}
{{- if include "micro-gw-authz.refreshes" . }}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) }}
{{- fail "With oauth2.refresh set replicas to 1 and autoscaling.enabled to false: a second process would use the same refresh token, and a server that rotates it withdraws both. Client credentials have nothing to rotate." }}
{{- end }}
{{- end }}
{{- $port := include "micro-gw-authz.keyManagerPort" $conf }}
{{- if and $port .Values.networkPolicy.enabled (not (include "micro-gw-authz.letsOut" (dict "egress" .Values.networkPolicy.egress "port" (int $port)))) }}
{{- fail (printf "The key manager's URL has port %s, and networkPolicy.egress lets nothing out but 443: put the port there (that of its pods, where it runs in this cluster)." $port) }}
{{- end }}
{{- end }}

{{/* Whether the own token is renewed by a refresh token. */}}
{{- define "micro-gw-authz.refreshes" -}}
{{- if regexMatch "(?mi)^[ \\t]*\\[[ \\t]*keyManager\\.security\\.oauth2\\.refresh[ \\t]*\\].*\\n(?:[ \\t]*(?:[^\\[ \\t\\n].*)?\\n)*?[ \\t]*enabled[ \\t]*=[ \\t]*true" (include "micro-gw-authz.conf" .) }}true{{ end }}
{{- end }}

{{/* The port of introspectUrl, else of serverUrl; nothing where a proxy is asked or none of them is written. */}}
{{- define "micro-gw-authz.keyManagerPort" -}}
{{- $key := "(?mi)^[ \\t]*%s[ \\t]*=[ \\t]*[\"']https?://[^\"']+" }}
{{- $url := regexFind (printf $key "introspectUrl") . | default (regexFind (printf $key "serverUrl") .) }}
{{- if and $url (not (regexMatch "(?mi)^[ \\t]*(proxy[ \\t]*=|enableInternalServices[ \\t]*=[ \\t]*true)" .)) }}
{{- $authority := regexFind "//[^/?#]+" $url }}
{{- regexFind ":[0-9]+$" $authority | trimPrefix ":" | default (ternary "443" "80" (contains "https://" (lower $url))) }}
{{- end }}
{{- end }}

{{/*
Whether some rule lets this port out. What is let out beyond DNS and 443 was put there by somebody who knows: a Service's port need
not be that of its pods, which is the one that counts.
*/}}
{{- define "micro-gw-authz.letsOut" -}}
{{- $port := .port }}
{{- if eq $port 443 }}true{{ end }}
{{- range .egress }}
{{- if not .ports }}true{{ end }}
{{- range .ports }}
{{- if not (has (toString .port) (list "53" "443")) }}true{{ end }}
{{- end }}
{{- end }}
{{- end }}
