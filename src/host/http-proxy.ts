import { BinderyError } from '../base/error.ts'

export type ProxyEnvironment = Readonly<Record<string, string | undefined>>

/**
 * The proxy for a URL as curl(1) reads the environment: `http_proxy` (lower case only, since a CGI program's request
 * headers could set the upper-case one), `https_proxy`, `all_proxy`, and `no_proxy` with host names, domain suffixes
 * and `*`. Undefined: connect directly.
 */
export function proxyFor(url: URL, environment: ProxyEnvironment): URL | undefined {
  const read = (name: string): string | undefined => environment[name] ?? environment[name.toUpperCase()]
  if (isExempt(url, read('no_proxy') ?? '')) return undefined
  const own = url.protocol === 'https:' ? read('https_proxy') : environment['http_proxy']
  const text = own ?? read('all_proxy')
  return text === undefined || text === '' ? undefined : parseProxy(text)
}

/** What somebody has configured comes before what the environment says; `none` is a direct connection. */
export function configuredProxy(
  environment: ProxyEnvironment,
  config: { readonly proxy?: string; readonly noProxy?: string },
): ProxyEnvironment {
  const exempt = config.noProxy ?? environment['no_proxy'] ?? environment['NO_PROXY']
  const own =
    config.proxy === undefined ? environment : config.proxy === 'none' ? {} : { http_proxy: config.proxy, https_proxy: config.proxy }
  return exempt === undefined ? own : { ...own, no_proxy: exempt }
}

function parseProxy(text: string): URL {
  const proxy = URL.parse(text.includes('://') ? text : `http://${text}`)
  if (proxy?.protocol !== 'http:') {
    throw new BinderyError('not-supported', 'only http proxies are known', {
      subject: text,
      hint: 'set no_proxy for the repository, or another proxy',
    })
  }
  return proxy
}

function isExempt(url: URL, list: string): boolean {
  const host = url.hostname.toLowerCase()
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '') return false
      if (entry === '*') return true
      const name = entry.replace(/^\*?\./, '')
      const matches = (text: string): boolean => host === text || host.endsWith(`.${text}`)
      return matches(name) || (name.endsWith(`:${port}`) && matches(name.slice(0, -port.length - 1)))
    })
}
