import { BinderyError } from '../base/error.ts'
import type { ServerCertificate } from '../port/server-certificate.ts'
import type { Context, Input, Option } from './command.ts'

/** Of verbs that serve. */
export const tlsOptions = {
  'tls-cert': { kind: 'value', value: 'FILE', help: 'serve over TLS, with this certificate and those between it and its authority (PEM)' },
  'tls-key': { kind: 'value', value: 'FILE', help: 'the key of --tls-cert (PEM)' },
} as const satisfies Readonly<Record<string, Option>>

export async function certificateOf(context: Context, input: Input): Promise<ServerCertificate | undefined> {
  const [certificate, key] = [input.value('tls-cert'), input.value('tls-key')]
  if ((certificate === undefined) !== (key === undefined)) throw new BinderyError('usage', '--tls-cert and --tls-key go together')
  return certificate === undefined || key === undefined ? undefined : await openTls(context, { certificate, key })
}

/** Loaded for those who serve over TLS alone. */
export async function openTls(context: Pick<Context, 'say'>, files: { certificate: string; key: string }): Promise<ServerCertificate> {
  return (await import('../host/server-certificate.ts')).openCertificate(files, context.say)
}
