/** Picks the door. */
import { type Door, openGrpcDoor } from './door.ts'

export async function openDoor(address: string, _say: (text: string) => void): Promise<Door> {
  return openGrpcDoor(address)
}
