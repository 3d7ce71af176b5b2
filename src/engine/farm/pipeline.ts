import type { BuildState, Transitions } from '../../port/farm-build.ts'

/**
 * The states of a build, one port at one state of its sources on one architecture, and what can follow which. Everything that moves a build
 * asks this table; what is not in it is refused.
 */
export const buildStates = [
  'waiting',
  'building',
  'built',
  'failed',
  'quarantined',
  'cancelled',
  'handed-over',
  'signed',
  'published',
  'superseded',
] as const satisfies readonly BuildState[]

/** Why a build moves from one state to another, in the order in which a reader meets them. */
const transitions = {
  waiting: {
    building: 'a builder takes it',
    cancelled: 'a person does not want it',
    superseded: 'the sources have changed again',
  },
  building: {
    built: 'its packages are here',
    failed: 'the port could not be built',
    waiting: 'the builder was lost, gave it back, or was stopped',
    cancelled: 'a person does not want it',
    superseded: 'the sources have changed again',
  },
  failed: {
    waiting: 'it is tried again',
    quarantined: 'it failed too often',
    cancelled: 'a person does not want it',
    superseded: 'the sources have changed again',
  },
  quarantined: {
    waiting: 'a person wants it tried again',
    cancelled: 'a person does not want it',
    superseded: 'the sources have changed again',
  },
  cancelled: {
    waiting: 'a person wants it after all',
    superseded: 'the sources have changed again',
  },
  built: {
    'handed-over': 'its packages are in a request',
    published: 'what it made is signed and published already',
    cancelled: 'nobody wants it any more',
    superseded: 'the sources have changed again',
  },
  'handed-over': {
    signed: 'the signer has answered',
    built: 'the request was withdrawn, or another publication overtook it',
    superseded: 'the sources have changed again',
  },
  signed: {
    published: 'mirrors and users can have it',
    built: 'another publication overtook it',
    superseded: 'the sources have changed again',
  },
  published: {},
  superseded: {},
} as const satisfies Readonly<Record<BuildState, Readonly<Partial<Record<BuildState, string>>>>>

export function mayFollow(from: BuildState, to: BuildState): boolean {
  return to in transitions[from]
}

/** The states from which a build can come to `to`. */
export function statesBefore(to: BuildState): readonly BuildState[] {
  return buildStates.filter((from) => mayFollow(from, to))
}

export function statesAfter(from: BuildState): readonly BuildState[] {
  return buildStates.filter((to) => mayFollow(from, to))
}

/** Nothing follows. */
export function isEnd(state: BuildState): boolean {
  return statesAfter(state).length === 0
}

export const pipeline: Transitions = { statesBefore }
