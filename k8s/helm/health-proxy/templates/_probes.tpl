{{/*
The three probes of a main container. Where the pod has several, each names itself, as its checks do by _CONTAINER:

  containers:
    - name: web
      {{- include "health-proxy.probes" . | nindent 6 }}
    - name: worker
      {{- include "health-proxy.probes" (list . "worker") | nindent 6 }}
*/}}
{{- define "health-proxy.probes" -}}
{{- $root := . -}}
{{- $container := "" -}}
{{- if kindIs "slice" . -}}
{{- $root = first . -}}
{{- $container = last . -}}
{{- end -}}
{{- $values := index $root.Values "health-proxy" -}}
startupProbe:
  httpGet: { path: "/startupz?wait=9{{ with $container }}&container={{ . }}{{ end }}", port: {{ $values.port }} }
  periodSeconds: 1
  timeoutSeconds: 10
  failureThreshold: {{ div (add (int $values.startupSeconds) 8) 9 }}
livenessProbe:
  httpGet: { path: "/livez{{ with $container }}?container={{ . }}{{ end }}", port: {{ $values.port }} }
  periodSeconds: 5
  failureThreshold: 4
readinessProbe:
  httpGet: { path: "/readyz{{ with $container }}?container={{ . }}{{ end }}", port: {{ $values.port }} }
  periodSeconds: 2
  failureThreshold: 1
{{- end }}
