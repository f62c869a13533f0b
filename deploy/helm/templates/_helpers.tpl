{{- define "aiinfra.pod" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
volumes:
  - name: data
    emptyDir: {}
  - name: tmp
    emptyDir: {}
{{- end -}}

{{- define "aiinfra.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
envFrom:
  - secretRef:
      name: {{ .Values.secret }}
  - configMapRef:
      name: {{ .Release.Name }}-settings
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: data
    mountPath: /data
  - name: tmp
    mountPath: /tmp
{{- end -}}

{{/* Serves what the pod has recorded, also while it drains: a sidecar ends after the other containers. */}}
{{- define "aiinfra.metrics" -}}
- name: metrics
  {{- include "aiinfra.container" . | nindent 2 }}
  restartPolicy: Always
  command: [gunicorn, -c, "python:aiinfra.stack.metrics_server"]
  ports:
    - name: metrics
      containerPort: 9400
  resources:
    {{- toYaml .Values.metrics.resources | nindent 4 }}
{{- end -}}
