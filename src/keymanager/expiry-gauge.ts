/** The metric of the own token's expiry: that of the own token in force, whatever others around a reload still do. */
import type { OwnTokenMetrics } from '../authz/ports.ts'

export interface ExpiryGauge {
  show(wallMs: number | undefined): void
  setInForce(isInForce: boolean): void
}

/** In force from `setInForce(true)` on. */
export function createExpiryGauge(metrics: OwnTokenMetrics): ExpiryGauge {
  let shown: number | undefined
  let isInForce = false
  return {
    show(wallMs) {
      shown = wallMs
      if (isInForce) metrics.ownTokenExpiresAt(wallMs)
    },
    setInForce(is) {
      isInForce = is
      if (is) metrics.ownTokenExpiresAt(shown)
    },
  }
}

/** The process that holds the token shows it. */
export const NOT_SHOWN: ExpiryGauge = { show: () => undefined, setInForce: () => undefined }
