import { closeStream, collectBytes } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import type { MetadataSource } from '../engine/repo/trust-types.ts'
import type { HttpClient } from '../port/http.ts'

/** Metadata below a URL, asked for anew each time. */
export function httpMetadata(http: HttpClient, base: string): MetadataSource {
  return {
    fetch: async (file, limit) => {
      const response = await http.get({ url: below(base, file) })
      if (response.status !== 200) await closeStream(response.body)
      if ([403, 404, 410].includes(response.status)) return { kind: 'absent' }
      if (response.status !== 200) throw new BinderyError('network', `answered ${response.status}`, { subject: file })
      const bytes = await collectBytes(response.body, limit)
      if (bytes === undefined) throw new BinderyError('over-limit', `is longer than ${limit} bytes`, { subject: file })
      return { kind: 'bytes', bytes }
    },
  }
}

export function below(base: string, file: string): string {
  return base.endsWith('/') ? `${base}${file}` : `${base}/${file}`
}
