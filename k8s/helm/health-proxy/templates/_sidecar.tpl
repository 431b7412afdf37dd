{{/*
The sidecar, an item of initContainers:

  initContainers:
    {{- include "health-proxy.sidecar" . | nindent 4 }}
*/}}
{{- define "health-proxy.sidecar" -}}
{{- $values := index .Values "health-proxy" -}}
- name: health-proxy
  image: {{ $values.image | quote }}
  {{- with $values.imagePullPolicy }}
  imagePullPolicy: {{ . }}
  {{- end }}
  restartPolicy: Always
  env:
    {{- if not $values.checks }}
    {{- fail "health-proxy.checks is empty: a check is one variable, such as READINESS_DB: tcp://:5432" }}
    {{- end }}
    {{- include "health-proxy.env" $values | nindent 4 }}
  ports:
    - name: health-proxy
      containerPort: {{ $values.port }}
  livenessProbe:
    httpGet: { path: /-/healthy, port: {{ $values.port }} }
    periodSeconds: 3
    failureThreshold: 3
    terminationGracePeriodSeconds: 1
  lifecycle:
    postStart:
      exec:
        command: ["/health-proxy", "get", "healthy", "--wait", "10"]
    preStop:
      exec:
        command: ["/health-proxy", "drain"]
  terminationMessagePolicy: FallbackToLogsOnError
  resources:
    {{- toYaml $values.resources | nindent 4 }}
  securityContext:
    {{- mergeOverwrite (include "health-proxy.restricted" . | fromYaml) $values.securityContext | toYaml | nindent 4 }}
  volumeMounts:
    - name: health-proxy-no-token
      mountPath: /var/run/secrets/kubernetes.io/serviceaccount
      readOnly: true
    {{- with $values.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* Every $ is doubled, so that the sidecar resolves $(NAME) and not Kubernetes, which knows nothing of URLs and secrets. */}}
{{- define "health-proxy.env" -}}
{{- range $name, $value := .checks }}
- name: {{ $name }}
  {{- if kindIs "map" $value }}
  valueFrom:
    {{- toYaml $value | nindent 4 }}
  {{- else }}
  {{- /* A large number as text would be 1.2e+06. */}}
  value: {{ (kindIs "string" $value | ternary $value ($value | toJson)) | replace "$" "$$" | quote }}
  {{- end }}
{{- end }}
{{- if ne (int .port) 9809 }}
- name: HEALTH_PROXY_LISTEN
  value: {{ printf "[::]:%d" (int .port) | quote }}
{{- end }}
{{- end }}

{{- define "health-proxy.restricted" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/*
The sidecar's volume, which keeps the token of the service account from it, an item of volumes:

  volumes:
    {{- include "health-proxy.volumes" . | nindent 4 }}
*/}}
{{- define "health-proxy.volumes" -}}
- name: health-proxy-no-token
  downwardAPI:
    items:
      - path: pod
        fieldRef: { fieldPath: metadata.name }
{{- end }}
