{{/*
Values that contradict each other are refused. That is certain of config, unless a variable of extraEnv says otherwise; what the
text of microGwConf suggests is printed by NOTES.txt as a warning.
*/}}
{{- define "micro-gw-authz.check" -}}
{{- if or (eq (int .Values.extAuthz.port) (int .Values.admin.port)) (has 9798 (list (int .Values.extAuthz.port) (int .Values.admin.port))) }}
{{- fail "extAuthz.port and admin.port must differ from each other and from 9798, which is the status page's." }}
{{- end }}
{{- $variables := list }}
{{- range .Values.extraEnv }}{{ $variables = append $variables .name }}{{ end }}
{{- $variables = join " " $variables }}
{{- with include "micro-gw-authz.sharedRefreshToken" (dict "values" .Values "config" .Values.config) }}
{{- if not (regexMatch "(?i)\\bkeyManager_security_oauth2_" $variables) }}{{ fail . }}{{ end }}
{{- end }}
{{- with include "micro-gw-authz.closedPort" (dict "values" .Values "config" .Values.config) }}
{{- if not (regexMatch "(?i)\\b(keyManager_(\\w+Url|proxy)|httpClients_proxy_\\w+)\\b" $variables) }}{{ fail . }}{{ end }}
{{- end }}
{{- end }}

{{/*
One refresh token in more than one process: a configured one, or that of one stateFile. With the password grant alone each
process has its own.
*/}}
{{- define "micro-gw-authz.sharedRefreshToken" -}}
{{- $oauth2 := dig "keyManager" "security" "oauth2" (dict) .config }}
{{- $refreshes := and (dig "enabled" false $oauth2) (dig "refresh" "enabled" false $oauth2) }}
{{- $shared := or (dig "directToken" "enabled" false $oauth2) (dig "refresh" "stateFile" "" $oauth2) }}
{{- $pods := int (ternary .values.autoscaling.maxReplicas .values.replicas .values.autoscaling.enabled) }}
{{- if and $refreshes $shared (or (gt $pods 1) (ne .values.strategy "Recreate")) -}}
oauth2.refresh with directToken or stateFile: set replicas to 1, autoscaling.enabled to false and strategy to Recreate. A second process would use the same refresh token, and a server that rotates it withdraws both. Client credentials have nothing to rotate.
{{- end }}
{{- end }}

{{/* A port of the key manager's URL that no rule lets out. Loopback and what goes through a proxy do not count. */}}
{{- define "micro-gw-authz.closedPort" -}}
{{- $keyManager := dig "keyManager" (dict) .config }}
{{- $url := coalesce $keyManager.introspectUrl $keyManager.discoveryUrl $keyManager.serverUrl | default "" }}
{{- $authority := regexFind "(?i)^https?://[^/?#]+" $url | lower }}
{{- $port := regexFind ":[0-9]+$" $authority | trimPrefix ":" | default (ternary "443" "80" (hasPrefix "https:" $authority)) }}
{{- $stays := regexMatch "//(localhost|127\\.[0-9.]+|\\[::1\\])(:[0-9]+)?$" $authority }}
{{- $proxied := or $keyManager.proxy (dig "httpClients" "proxy" "enableInternalServices" false .config) }}
{{- if and $authority (not $stays) (not $proxied) .values.networkPolicy.enabled }}
{{- if not (include "micro-gw-authz.letsOut" (dict "egress" .values.networkPolicy.egress "port" $port)) -}}
The key manager's URL has port {{ $port }}, and networkPolicy.egress lets nothing out but DNS and 443: put the port there (that of its pods, where it runs in this cluster).
{{- end }}
{{- end }}
{{- end }}

{{/*
Whether some rule may let this port out. What is let out beyond DNS and 443 was put there by somebody who knows: a Service's port
need not be that of its pods, which is the one that counts.
*/}}
{{- define "micro-gw-authz.letsOut" -}}
{{- if eq .port "443" }}true{{ end }}
{{- range .egress }}
{{- if not .ports }}true{{ end }}
{{- range .ports }}
{{- if or .endPort (not (has (toString .port) (list "53" "443"))) }}true{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* One line for each thing that the text of microGwConf suggests would not serve. It is searched, not parsed. */}}
{{- define "micro-gw-authz.doubts" -}}
{{- $guess := dict "values" .Values "config" (include "micro-gw-authz.guess" .Values.microGwConf | fromJson) }}
{{- with include "micro-gw-authz.sharedRefreshToken" $guess }}
  - {{ . }}
{{- end }}
{{- with include "micro-gw-authz.closedPort" $guess }}
  - {{ . }}
{{- end }}
{{- if and (not .Values.extAuthz.tls.enabled) (regexMatch "(?mi)^[ \\t]*\\[[ \\t]*extAuthz\\.tls[ \\t]*\\]" .Values.microGwConf) }}
  - extAuthz.tls.enabled is false, but microGwConf has [extAuthz.tls], which would hold: take it out.
{{- end }}
{{- end }}

{{/* What the checks above ask of config, as the usual form of a text says it. */}}
{{- define "micro-gw-authz.guess" -}}
{{- $keyManager := dict }}
{{- range list "introspectUrl" "discoveryUrl" "serverUrl" "proxy" }}
{{- $keyManager = set $keyManager . (include "micro-gw-authz.written" (list $ "keyManager" .)) }}
{{- end }}
{{- $oauth2 := dict "enabled" (eq "true" (include "micro-gw-authz.written" (list . "keyManager.security.oauth2" "enabled"))) }}
{{- range list "directToken" "refresh" }}
{{- $table := printf "keyManager.security.oauth2.%s" . }}
{{- $enabled := eq "true" (include "micro-gw-authz.written" (list $ $table "enabled")) }}
{{- $oauth2 = set $oauth2 . (dict "enabled" $enabled "stateFile" (include "micro-gw-authz.written" (list $ $table "stateFile"))) }}
{{- end }}
{{- $proxied := eq "true" (include "micro-gw-authz.written" (list . "httpClients.proxy" "enableInternalServices")) }}
{{- $keyManager = set $keyManager "security" (dict "oauth2" $oauth2) }}
{{- dict "keyManager" $keyManager "httpClients" (dict "proxy" (dict "enableInternalServices" $proxied)) | toJson }}
{{- end }}

{{/* The value of a key (third) in a [table] (second) of a text (first), without quotes; nothing where it is not found. */}}
{{- define "micro-gw-authz.written" -}}
{{- $header := printf "(?mi)^[ \\t]*\\[[ \\t]*%s[ \\t]*\\]" (regexQuoteMeta (index . 1)) }}
{{- $table := regexFind (printf "%s.*\\n(?:[ \\t]*(?:[^\\[ \\t\\n].*)?\\n)*" $header) (printf "%s\n" (first .)) }}
{{- $key := printf "(?mi)^[ \\t]*%s[ \\t]*=[ \\t]*" (last .) }}
{{- $line := regexFind (printf "%s(\"[^\"\\n]*|'[^'\\n]*|[^ \\t\\r\\n#]+)" $key) $table }}
{{- regexReplaceAll $key $line "" | trimAll "\"'" }}
{{- end }}
