import { test } from 'node:test'
import type { TestContext } from 'node:test'

/**
 * Where starting a program is slow, going every road with every shell, tool and moment takes an hour: `make test` and CI go each once,
 * in turn with one or another of them. `make test-heavy` goes all of them, `make test-shells` those of the programs in sh, and
 * BINDERY_TESTS=tomorrow goes the roads whose day is tomorrow.
 */
export const isWholeSuite = process.env['BINDERY_TESTS'] === 'heavy'

/** Of several that stand for the same: all, or the one whose turn it is. */
export function inTurn<T>(all: readonly T[], turn: number): readonly T[] {
  return isWholeSuite ? all : [all[turn % all.length] as T]
}

/** Of many places to look at: all, or every third; those of three turns are all. */
export function everyThird<T>(all: readonly T[], turn: number): readonly T[] {
  return isWholeSuite ? all : all.filter((_, i) => i % 3 === turn % 3)
}

/** Of so many random cases: all, or a quarter, other ones each time. */
export function cases(all: number): number {
  return isWholeSuite ? all : Math.ceil(all / 4)
}

const today = Math.floor(Date.now() / 86_400_000) + (process.env['BINDERY_TESTS'] === 'tomorrow' ? 1 : 0)

/** Of long roads, half a minute and more each: whether those of this turn are gone today. In three days all are. */
export function isTurn(turn: 0 | 1 | 2): boolean {
  return isWholeSuite || (turn + today) % 3 === 0
}

/** Of long roads that are alike and do not need each other: all, or every other one, the rest of them tomorrow. */
export function halfToday<T>(all: readonly T[]): readonly T[] {
  return all.filter((_, i) => isHere(i))
}

/** `test` for such roads: each of a file, or every other one. */
export function testsByDay(): (name: string, road: (t: TestContext) => void | Promise<void>) => void {
  let count = 0
  return (name, road) => {
    if (isHere(count++)) test(name, road)
  }
}

function isHere(i: number): boolean {
  return isWholeSuite || (i + today) % 2 === 0
}
