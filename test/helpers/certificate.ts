import { execFileSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'

const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']

/** A certificate that only its own file vouches for. */
export function makeCertificate(folder: string, name = ''): { readonly key: string; readonly cert: string } {
  const [key, cert] = [join(folder, `${name}key.pem`), join(folder, `${name}cert.pem`)]
  const args = ['req', '-x509', ...curve, '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', names]
  execFileSync('openssl', [...args, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  chmodSync(key, 0o600)
  return { key, cert }
}
