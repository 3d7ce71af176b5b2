/** What a server is known by over TLS: a certificate, with those between it and its authority, and its key, as PEM. */
export type ServerCertificate = {
  readonly pair: CertificatePair
  /** From then on connections get what the files hold when they begin: certificates are renewed while servers run. */
  keepNew(server: TlsServer): void
}

export type CertificatePair = { readonly cert: Buffer; readonly key: Buffer }

/** As much of a node:tls server as that takes. */
export type TlsServer = {
  setSecureContext(pair: CertificatePair): void
  prependListener(event: 'connection', listener: () => void): unknown
}
