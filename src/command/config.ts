import { confKey, defaultConfig, settingsOf } from '../format/conf.ts'
import { confKeys } from '../format/conf-keys.ts'
import { showMirror, withoutPassword } from '../format/conf-value.ts'
import { byPriority } from '../engine/client/fetch/mirror-order.ts'
import { strangersAmong } from '../engine/client/fetch/offer.ts'
import { readEnrolled, statePaths } from '../engine/client/state.ts'
import { hostDisk } from '../host/disk.ts'
import { confFile, readConfFile, readConfig } from './client-config.ts'
import { sharedFlags } from './flags.ts'
import { table } from './text-table.ts'
import type { Enrolled } from '../format/enrolled.ts'
import type { ClientConfig, Setting } from '../format/conf.ts'
import type { Command, Context } from './command.ts'

export const config: Command = {
  name: 'config',
  summary: 'show what is configured, and where it is said',
  operands: '[KEY]',
  operandCount: { min: 0, max: 1 },
  options: { json: sharedFlags.json },
  examples: ['bindery config', 'bindery config keep-releases', 'bindery -f new.conf config --json'],
  run: async (context, input) => {
    const [name] = input.operands
    if (name !== undefined) confKey(name)
    const enrolled = await readEnrolled(hostDisk(context.root))
    const all = await valuesOf(context, enrolled)
    const values = name === undefined ? all : all.filter(({ key }) => key === name)
    if (input.flag('json')) for (const one of values) await context.out(`${JSON.stringify(one)}\n`)
    else for (const line of name === undefined ? table(values.map(rowOf)) : values.map(({ value }) => value)) await context.out(`${line}\n`)
    for (const line of strangersAmong((await readConfig(context)).hold, enrolled)) context.say(line)
    return 0
  },
}

type Value = { readonly key: string; readonly value: string; readonly origin: Origin }

type Origin =
  | { readonly kind: 'file'; readonly file: string; readonly line: number }
  | { readonly kind: 'default' }
  | { readonly kind: 'enrolled'; readonly file: string }
  | { readonly kind: 'environment'; readonly variable: string }

function rowOf({ key, value, origin }: Value): readonly string[] {
  return [key, value, showOrigin(origin)]
}

function showOrigin(origin: Origin): string {
  switch (origin.kind) {
    case 'file':
      return `${origin.file}:${origin.line}`
    case 'default':
      return 'default'
    case 'enrolled':
      return `/${origin.file}`
    case 'environment':
      return `environment ${origin.variable}`
  }
}

/** In the order of the manual; mirrors in the order in which they are asked. */
async function valuesOf(context: Context, enrolled: readonly Enrolled[]): Promise<readonly Value[]> {
  const settings = (await readConfFile(context, settingsOf)) ?? []
  const config = await readConfig(context)
  const file = confFile(context)
  return Object.entries(confKeys).flatMap(([key, { show }]): readonly Value[] => {
    const said = settings.filter(({ name }) => name === key).flatMap((setting) => saidIn(file, setting))
    if (key === 'mirror') return mirrorValues(said, config, enrolled)
    if (said.length > 0) return said
    const usual = show(defaultConfig).map((value): Value => ({ key, value, origin: { kind: 'default' } }))
    return key === 'proxy' || key === 'no-proxy' ? proxyValues(context, key) : usual
  })
}

function saidIn(file: string, { line, name, values }: Setting): readonly Value[] {
  return values.map((value) => ({ key: name, value, origin: { kind: 'file', file, line } }))
}

/** Each address once, as the client asks them. */
function mirrorValues(said: readonly Value[], config: ClientConfig, enrolled: readonly Enrolled[]): readonly Value[] {
  const urls = enrolled.flatMap((one) => one.urls)
  return byPriority(config.mirrors, urls).map((mirror): Value => {
    const value = showMirror(mirror)
    return said.find((one) => one.value === value) ?? { key: 'mirror', value, origin: { kind: 'enrolled', file: statePaths.enrolled } }
  })
}

/** Lower case comes first, as in host/http-proxy.ts. */
function proxyValues({ environment }: Context, key: 'proxy' | 'no-proxy'): readonly Value[] {
  const names = key === 'proxy' ? ['http_proxy', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'] : ['no_proxy', 'NO_PROXY']
  return names.flatMap((variable): readonly Value[] => {
    const value = environment[variable] ?? ''
    return value === '' ? [] : [{ key, value: withoutPassword(value), origin: { kind: 'environment', variable } }]
  })
}
