{{/* The one image: of the injector, of its sidecars, and what the policies accept. */}}
{{- define "hybridge.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Namespaces that are never injected or checked. */}}
{{- define "hybridge.outside" -}}
[kube-system, kube-public, kube-node-lease, {{ .Release.Namespace }}]
{{- end -}}

{{/* Namespaces that enforce injection by the values. Pods of the injector would wait for the injector. */}}
{{- define "hybridge.enforced" -}}
{{- $outside := include "hybridge.outside" . | fromYamlArray -}}
{{- range .Values.enforcedNamespaces -}}
{{- if has . $outside -}}
{{- fail (printf "enforcedNamespaces: %s is never injected, as its pods, or those of the injector, could not start without the injector: take it out" .) -}}
{{- end -}}
{{- end -}}
{{- toJson .Values.enforcedNamespaces -}}
{{- end -}}

{{/* The memory of a sidecar, of which the injector wants 32Mi at least. */}}
{{- define "hybridge.memory" -}}
{{- with .Values.defaults.memory -}}
{{- $units := dict "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 -}}
{{- $unit := get $units (regexFind "[A-Za-z]+$" .) | default 1.0 -}}
{{- if lt (mulf (regexFind "^[0-9.]+" . | float64) $unit) 33554432.0 -}}
{{- fail (printf "defaults.memory is %s, which a sidecar cannot start in: give at least 32Mi" .) -}}
{{- end -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* The CA of a certificate that Helm made or was given; cert-manager writes its own. Everybody in the cluster may read a
webhook configuration: only certificates get into it, and no message repeats what was given. */}}
{{- define "hybridge.caBundle" -}}
{{- $given := .Values.certificate.caBundle | trim -}}
{{- $text := contains "-----BEGIN" $given | ternary $given (b64dec $given) -}}
{{- if contains "PRIVATE KEY" $text -}}{{- fail "certificate.caBundle has a private key, which everybody could read in the webhook configuration: give the certificate of the CA only (ca.crt)" -}}{{- end -}}
{{- if eq .Values.certificate.mode "existing" -}}
{{- if not $given -}}{{- fail "certificate.mode existing needs certificate.caBundle" -}}{{- end -}}
{{- $certificates := regexFindAll "(?s)-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----" $text -1 -}}
{{- if not $certificates -}}{{- fail "certificate.caBundle has no certificate: give the PEM of the CA (-----BEGIN CERTIFICATE-----), or its base64" -}}{{- end -}}
{{- b64enc (printf "%s\n" (join "\n" $certificates)) -}}
{{- else if $given -}}
{{- fail (printf "certificate.caBundle is used with certificate.mode existing only, and the mode is %s: take it out, or change the mode" .Values.certificate.mode) -}}
{{- else if eq .Values.certificate.mode "generated" -}}
{{- index (include "hybridge.generated" . | fromYaml) "ca.crt" -}}
{{- end -}}
{{- end -}}

{{/* The data of the Secret: the one in the cluster, or a new one, the same in every template of one rendering. */}}
{{- define "hybridge.generated" -}}
{{- if not (hasKey .Values "generatedCertificate") -}}
{{- $found := lookup "v1" "Secret" .Release.Namespace .Values.certificate.secret -}}
{{- $data := dict -}}
{{- if and $found (index ($found.data | default dict) "ca.crt") -}}
{{- $data = pick $found.data "ca.crt" "tls.crt" "tls.key" -}}
{{- else -}}
{{- $host := printf "hybridge-injector.%s.svc" .Release.Namespace -}}
{{- $days := int .Values.certificate.days -}}
{{- $ca := genCAWithKey "hybridge webhook CA" $days (genPrivateKey "ecdsa") -}}
{{- $leaf := genSignedCertWithKey $host nil (list $host) $days $ca (genPrivateKey "ecdsa") -}}
{{- $data = dict "ca.crt" (b64enc $ca.Cert) "tls.crt" (b64enc $leaf.Cert) "tls.key" (b64enc $leaf.Key) -}}
{{- end -}}
{{- $_ := set .Values "generatedCertificate" $data -}}
{{- end -}}
{{- toYaml .Values.generatedCertificate -}}
{{- end -}}

{{/* Environment of the injector for what the operator decides for every pod; what is empty is left out. */}}
{{- define "hybridge.settings" -}}
{{- $defaults := list -}}
{{- range $key, $name := dict "cpuLimit" "cpu-limit" "cpuRequest" "cpu-request" "drainDelay" "drain-delay" "drainTimeout" "drain-timeout" "initOrder" "init-order" "logLevel" "log-level" -}}
{{- with index $.Values.defaults $key -}}
{{- $defaults = append $defaults (printf "%s=%s" $name .) -}}
{{- end -}}
{{- end -}}
{{- with include "hybridge.memory" . -}}
{{- $defaults = append $defaults (printf "memory=%s" .) -}}
{{- end -}}
{{- $settings := dict
  "HYBRIDGE_DEFAULTS" (join "," $defaults)
  "HYBRIDGE_DEFAULT_POLICY" .Values.defaults.policy
  "HYBRIDGE_IMAGE_PULL_POLICY" (eq .Values.image.pullPolicy "IfNotPresent" | ternary "" .Values.image.pullPolicy)
  "HYBRIDGE_IMAGE_PULL_SECRETS" (join "," .Values.image.sidecarPullSecrets)
  "HYBRIDGE_LOG_LEVEL" .Values.logLevel
  "HYBRIDGE_NAMESPACE_DEFAULTS" (empty .Values.namespaceDefaults | not | ternary "/etc/hybridge/namespaces/defaults.yaml" "")
  "HYBRIDGE_PLATFORM_USER" (.Values.openshift | ternary "true" "")
  "HYBRIDGE_TLS_SECRET" .Values.defaults.tlsSecret
-}}
{{- $entries := list -}}
{{- range $name, $value := $settings -}}
{{- if $value -}}
{{- $entries = append $entries (dict "name" $name "value" $value) -}}
{{- end -}}
{{- end -}}
{{- if $entries -}}
{{- toYaml $entries -}}
{{- end -}}
{{- end -}}

{{/* Annotations that a namespace may have for its pods: the table of src/inject/plan/annotation_table.rs, as a list in CEL. */}}
{{- define "hybridge.annotations" -}}
['ports', 'mode', 'listen-port', 'protocol', 'tls-secret', 'spiffe', 'policy', 'client-auth', 'client-ca', 'client-crl', 'allow-uri', 'allow-dns', 'allow-ip', 'allow-cn', 'allow-any', 'ticket-keys', 'identity', 'proxy-protocol-from', 'upstream-proxy-protocol', 'bind', 'bind-env', 'drain-timeout', 'drain-delay', 'init-order', 'cpu-request', 'cpu-limit', 'memory', 'tunnel', 'egress', 'egress-capture', 'egress-targets-allowed', 'egress-protocol', 'egress-ca', 'egress-tls-secret', 'egress-peer-ids', 'egress-policy', 'egress-env', 'sealed', 'sealed-identity', 'sealed-signer', 'sealed-size', 'traces-endpoint', 'traces-ca', 'traces-sample', 'traces-service-name', 'log-level', 'allow-shared-pid']
{{- end -}}
