// Handshakes that are no client's: an authority wants to see the certificate that proves a name to be ours (TLS-ALPN-01, RFC
// 8737). Whoever has asked for a certificate says here what it is to be shown.

import type { TlsSettings } from '../../net/tls.ts'

export const ACME_TLS = 'acme-tls/1'

/** null: nothing is known of such a challenge. */
export type ChallengeAnswer = (serverName: string) => TlsSettings | null

let answer: ChallengeAnswer | null = null

export function answerChallenges(run: ChallengeAnswer | null): void {
  answer = run
}

export function challengeSettings(serverName: string): TlsSettings | null {
  return answer === null ? null : answer(serverName)
}
