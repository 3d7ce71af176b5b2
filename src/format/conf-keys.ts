import { showPath } from '../base/path.ts'
import { componentPaths } from './components.ts'
import {
  absolutePath,
  basisOf,
  channelOrAll,
  commandOf,
  machineName,
  mirrorOf,
  pathPattern,
  proxyOf,
  seconds,
  showMirror,
  userName,
  wholeNumber,
  withoutPassword,
  yesOrNo,
} from './conf-value.ts'
import { showKeepOld, withKeepOld } from './keep-old.ts'
import { reportPlace, showReportPlace } from './report-place.ts'
import type { ClientConfig, NetworkLimits } from './conf.ts'
import type { PathPattern } from './conf-value.ts'

/** One key of bindery.conf(5). */
export type ConfKey = {
  /** Throws `usage`. */
  set(config: ClientConfig, text: string): ClientConfig
  /** As lines would say it, one for each. */
  show(config: ClientConfig): readonly string[]
  /** A line may repeat it; any other key given twice is a mistake. */
  readonly repeats?: true
}

export const confKeys: Readonly<Record<string, ConfKey>> = {
  mirror: {
    set: (config, text) => ({ ...config, mirrors: [...config.mirrors, mirrorOf(text)] }),
    show: ({ mirrors }) => mirrors.map(showMirror),
    repeats: true,
  },
  proxy: {
    set: (config, text) => ({ ...config, proxy: proxyOf(text) }),
    show: ({ proxy }) => (proxy === undefined ? [] : [withoutPassword(proxy)]),
  },
  'no-proxy': {
    set: (config, text) => ({ ...config, noProxy: text }),
    show: ({ noProxy }) => (noProxy === undefined ? [] : [noProxy]),
  },
  'fetch-user': {
    set: (config, text) => ({ ...config, fetchUser: userName(text) }),
    show: ({ fetchUser }) => (fetchUser === undefined ? [] : [fetchUser]),
  },
  basis: { set: (config, text) => ({ ...config, basis: basisOf(text) }), show: ({ basis }) => [basis] },
  hold: {
    set: (config, text) => ({ ...config, hold: [...config.hold, ...text.split(/\s+/).map(channelOrAll)] }),
    show: ({ hold }) => hold,
    repeats: true,
  },
  ignore: patterns('ignore'),
  protect: patterns('protect'),
  generated: patterns('generated'),
  without: {
    set: (config, text) => ({ ...config, without: [...config.without, ...text.split(/\s+/).flatMap(componentPaths)] }),
    show: ({ without }) => without.map(({ text }) => text),
    repeats: true,
  },
  'config-protect': patterns('configProtect'),
  merge: { set: (config, text) => ({ ...config, merge: yesOrNo(text) }), show: ({ merge }) => [merge ? 'yes' : 'no'] },
  'keep-old': {
    set: (config, text) => ({ ...config, keepOld: withKeepOld(config.keepOld, text) }),
    show: ({ keepOld }) => (keepOld.length === 0 ? ['none'] : keepOld.map(showKeepOld)),
    repeats: true,
  },
  programs: {
    set: (config, text) => ({ ...config, programs: [...config.programs, absolutePath(text)] }),
    show: ({ programs }) => programs.map((path) => `/${showPath(path)}`),
    repeats: true,
  },
  'before-commit': command('beforeCommit'),
  'after-commit': command('afterCommit'),
  'keep-releases': {
    set: (config, text) => ({ ...config, keepReleases: wholeNumber(text, 0, 1000) }),
    show: ({ keepReleases }) => [String(keepReleases)],
  },
  share: patterns('share'),
  'root-make': command('rootMake'),
  'root-switch': command('rootSwitch'),
  'root-remove': command('rootRemove'),
  'keep-trees': {
    set: (config, text) => ({ ...config, keepTrees: wholeNumber(text, 0, 1000) }),
    show: ({ keepTrees }) => [String(keepTrees)],
  },
  rollout: {
    set: (config, text) => ({ ...config, rollout: yesOrNo(text) }),
    show: ({ rollout }) => [rollout ? 'yes' : 'no'],
  },
  jitter: {
    set: (config, text) => ({ ...config, jitter: wholeNumber(text, 0, 86_400) }),
    show: ({ jitter }) => [String(jitter)],
  },
  'stale-grace': {
    set: (config, text) => ({ ...config, staleGrace: wholeNumber(text, 0, 365) }),
    show: ({ staleGrace }) => [String(staleGrace)],
  },
  report: {
    set: (config, text) => ({ ...config, reports: [...config.reports, reportPlace(text)] }),
    show: ({ reports }) => reports.map((place) => withoutPassword(showReportPlace(place))),
    repeats: true,
  },
  machine: {
    set: (config, text) => ({ ...config, machine: machineName(text) }),
    show: ({ machine }) => (machine === undefined ? [] : [machine]),
  },
  'answer-timeout': duration('answerMs'),
  'idle-timeout': duration('idleMs'),
  'minimum-rate': {
    set: (config, text) => withNetwork(config, { minimumRate: wholeNumber(text, 0, 2 ** 40) }),
    show: ({ network }) => [String(network.minimumRate)],
  },
  'rate-limit': {
    set: (config, text) => withNetwork(config, { rateLimit: wholeNumber(text, 0, 2 ** 40) }),
    show: ({ network }) => [String(network.rateLimit)],
  },
  'rate-window': duration('rateWindowMs'),
  'download-deadline': duration('deadlineMs'),
}

function patterns(field: 'ignore' | 'protect' | 'generated' | 'configProtect' | 'share'): ConfKey {
  const of = (config: ClientConfig): readonly PathPattern[] => config[field]
  return {
    set: (config, text) => ({ ...config, [field]: [...of(config), pathPattern(text)] }),
    show: (config) => of(config).map(({ text }) => text),
    repeats: true,
  }
}

function command(field: 'beforeCommit' | 'afterCommit' | 'rootMake' | 'rootSwitch' | 'rootRemove'): ConfKey {
  return {
    set: (config, text) => ({ ...config, [field]: commandOf(text) }),
    show: (config) => (config[field] === undefined ? [] : [config[field]]),
  }
}

function duration(field: 'answerMs' | 'idleMs' | 'rateWindowMs' | 'deadlineMs'): ConfKey {
  return {
    set: (config, text) => withNetwork(config, { [field]: seconds(text) }),
    show: ({ network }) => [String(network[field] / 1000)],
  }
}

function withNetwork(config: ClientConfig, network: Partial<NetworkLimits>): ClientConfig {
  return { ...config, network: { ...config.network, ...network } }
}
