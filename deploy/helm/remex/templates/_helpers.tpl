{{/* The name of everything: the release's, so that `helm install remex …` gives `remex-0`. At most
52 characters: a pod's name and hash must fit into 63. */}}
{{- define "remex.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "remex.peers" -}}
{{- include "remex.fullname" . -}}-peers
{{- end -}}

{{- define "remex.selector" -}}
app.kubernetes.io/name: remex
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "remex.labels" -}}
{{ include "remex.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "remex.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* How many nodes found the cluster: the first three, or all if there are fewer. Not all: then the
pods would have to be started anew whenever their number changes. */}}
{{- define "remex.founders" -}}
{{- min 3 (int .Values.replicas) -}}
{{- end -}}

{{- define "remex.join" -}}
{{- $addresses := list -}}
{{- range $i := until (int (include "remex.founders" .)) -}}
{{- $addresses = append $addresses (printf "%s-%d.%s.$(POD_NAMESPACE).svc:7481" (include "remex.fullname" $) $i (include "remex.peers" $)) -}}
{{- end -}}
{{- join "," $addresses -}}
{{- end -}}

{{- define "remex.dialects" -}}
{{- $pairs := list -}}
{{- range .Values.dialects -}}
{{- $pairs = append $pairs (printf "%s=%s:%d" .name $.Values.listenHost (int .port)) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{/* The service, and every node for itself. */}}
{{- define "remex.endpoints" -}}
{{- $urls := list (printf "http://%s:7480" (include "remex.fullname" .)) -}}
{{- range $i := until (int .Values.replicas) -}}
{{- $urls = append $urls (printf "http://%s-%d.%s:7480" (include "remex.fullname" $) $i (include "remex.peers" $)) -}}
{{- end -}}
{{- join "," $urls -}}
{{- end -}}
