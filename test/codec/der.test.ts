import assert from 'node:assert/strict'
import test from 'node:test'
import { bits, boolean, integer, objectId, octets, sequence, set, tagged, time, utf8 } from '../../src/codec/der.ts'

const hex = (bytes: Buffer): string => bytes.toString('hex')

test('lengths take as many bytes as they need', () => {
  assert.equal(hex(octets(Buffer.alloc(0))), '0400')
  assert.equal(hex(octets(Buffer.alloc(127))).slice(0, 4), '047f')
  assert.equal(hex(octets(Buffer.alloc(128))).slice(0, 6), '048180')
  assert.equal(hex(octets(Buffer.alloc(256))).slice(0, 8), '04820100')
  assert.equal(hex(octets(Buffer.alloc(70000))).slice(0, 10), '0483011170')
})

test('numbers are as short as they can be, and never negative', () => {
  assert.equal(hex(integer(Buffer.from([0, 0, 5]))), '020105')
  assert.equal(hex(integer(Buffer.from([128]))), '02020080')
  assert.equal(hex(integer(Buffer.from([0]))), '020100')
  assert.equal(hex(integer(Buffer.alloc(0))), '020100')
})

test('the other types', () => {
  assert.equal(hex(objectId('1.2.840.113549.1.1.11')), '06092a864886f70d01010b')
  assert.equal(hex(objectId('1.3.6.1.5.5.7.1.31')), '06082b0601050507011f')
  assert.equal(hex(sequence(boolean(true), boolean(false))), '30060101ff010100')
  assert.equal(hex(set(utf8('ä'))), '31040c02c3a4')
  assert.equal(hex(bits(Buffer.from([1]))), '03020001')
  assert.equal(hex(tagged(0xa0, tagged(5))), 'a0020500')
  assert.equal(time(Date.UTC(2026, 0, 2, 3, 4, 5)).toString('latin1', 2), '260102030405Z')
  assert.equal(time(Date.UTC(2050, 0, 2, 3, 4, 5)).toString('latin1', 2), '20500102030405Z')
})
