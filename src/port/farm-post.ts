/** One POST to the controller of a farm. Whatever keeps an answer from coming is `network`; no answer is followed anywhere. */
export type FarmPost = (call: PostedCall) => Promise<PostedAnswer>

export type PostedCall = {
  /** Path and query, after what the URL of the farm has. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** How long it may take until the answer begins. */
  readonly answerMs: number
  readonly signal: AbortSignal
}

export type PostedAnswer = {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}
