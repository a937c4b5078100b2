/** Whether a line of latencies is the server's, or its load's too. Pure. */

export interface Arrivals {
  /** Wanted. */
  readonly perSecond: number
  readonly sentPerSecond: number
  /** From due to sent, ms. */
  readonly latenessP99: number
  /** From due to done, ms. */
  readonly p99: number
}

/** A fifth of the p99 or more is the generator's own, or it did not reach 99 % of the rate. */
export const isSentLate = ({ perSecond, sentPerSecond, latenessP99, p99 }: Arrivals): boolean =>
  latenessP99 >= p99 / 5 || sentPerSecond < perSecond * 0.99
