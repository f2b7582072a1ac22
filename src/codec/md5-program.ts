// The MD5 program: WebAssembly that hashes blocks where they lie, of one stream or of up to eight streams at once.
//
// Every step of MD5 waits for the one before, so a processor hashing one stream is idle most of the time. Here four
// streams share a vector, a lane each, and two vectors take turns: the steps of one fill the waits of the other.
import { type Code, encodeModule, op, ValueType, type WasmFunction } from './wasm-module.ts';

export const blockBytes = 64;
export const laneCountMax = 8;

const wordBytes = 4;
const vectorBytes = 16;
const lanesPerVector = 4;
const stepCount = 64;
const rowBytes = laneCountMax * wordBytes;
// Where things lie in the program's own memory: word `w` of lane `l` is at `4 * l` of row `w`.
const constantsAt = 0;
/** The four rows of the states' words. */
export const statesAt = constantsAt + stepCount * vectorBytes;
/** One row: where each lane's next block is. The program moves them on. */
export const pointersAt = statesAt + 4 * rowBytes;
/** Room for the last blocks of a stream: at most 63 bytes, the mark of the end, and the length. */
export const paddingAt = pointersAt + rowBytes;
/** How much memory the program needs for itself, from its offset on. */
export const programBytes = paddingAt + 2 * blockBytes;

// RFC 1321, section 3.4.
const shifts = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const;
const firstWords = [0, 1, 5, 0];
const wordStrides = [1, 5, 3, 7];

interface Step {
  readonly round: number;
  readonly word: number;
  readonly shift: number;
  readonly constant: number;
}

const steps: readonly Step[] = Array.from({ length: stepCount }, (_, index) => {
  const round = index >> 4;
  const constant = Math.floor(2 ** 32 * Math.abs(Math.sin(index + 1)));
  return {
    round,
    word: (firstWords[round]! + wordStrides[round]! * index) % 16,
    shift: shifts[round]![index % 4]!,
    // The last round's function is computed as its complement, and -x is ~x + 1.
    constant: (round === 3 ? constant - 1 : constant) | 0,
  };
});

/** The instructions of a step, over one stream or over a vector of them. */
interface Arithmetic {
  add(left: Code, right: Code): Code;
  sub(left: Code, right: Code): Code;
  and(left: Code, right: Code): Code;
  andNot(left: Code, right: Code): Code;
  xor(left: Code, right: Code): Code;
  rotate(value: Code, by: number, spare: number): Code;
}

const scalar: Arithmetic = {
  add: op.addI32,
  sub: op.subI32,
  and: op.andI32,
  andNot: (left, right) => op.andI32(left, op.xorI32(right, op.i32(-1))),
  xor: op.xorI32,
  rotate: (value, by) => op.rotateLeftI32(value, op.i32(by)),
};

const vector: Arithmetic = {
  add: op.addI32x4,
  sub: op.subI32x4,
  and: op.andV128,
  andNot: op.andNotV128,
  xor: op.xorV128,
  rotate: (value, by, spare) =>
    op.orV128(op.shiftLeftI32x4(op.tee(spare, value), op.i32(by)), op.shiftRightI32x4(op.get(spare), op.i32(32 - by))),
};

// One step: `locals` are those of a, b, c and d in their present parts; the result goes where a was. `addend` is the
// word of the message plus the step's constant. What needs b, which the step before has just made, comes last.
function stepCode(way: Arithmetic, step: Step, locals: readonly number[], addend: Code, spare: number): Code {
  const [a, b, c, d] = locals.map((local) => op.get(local)) as [Code, Code, Code, Code];
  const early = way.add(a, addend);
  const mixed = [
    () => way.add(early, way.xor(way.and(way.xor(c, d), b), d)),
    // The two halves of the selection have no bit in common: they may be added one by one.
    () => way.add(way.add(early, way.andNot(c, d)), way.and(b, d)),
    () => way.add(early, way.xor(way.xor(c, d), b)),
    () => way.sub(early, way.xor(way.andNot(d, b), c)),
  ][step.round]!;
  return op.set(locals[0]!, way.add(way.rotate(mixed(), step.shift, spare), b));
}

// The parts that the locals of a, b, c and d play at a step: each step they move on by one.
const parts = (locals: readonly number[], index: number): number[] =>
  locals.map((_, part) => locals[(part + 3 * index) % 4]!);

// one(blocks): hashes so many blocks, at least one, of lane 0.
function one(base: number): WasmFunction {
  const [blocks, at, spare] = [0, 1, 2];
  const state = [3, 4, 5, 6];
  const stateAt = (word: number): number => base + statesAt + word * rowBytes;
  return {
    exportedAs: 'one',
    parameters: [ValueType.i32],
    locals: Array.from({ length: 6 }, () => ValueType.i32),
    body: [
      op.set(at, op.loadI32(op.i32(0), base + pointersAt)),
      state.map((local, word) => op.set(local, op.loadI32(op.i32(0), stateAt(word)))),
      op.loop(
        steps.map((step, index) => {
          const addend = op.addI32(op.loadI32(op.get(at), step.word * wordBytes), op.i32(step.constant));
          return stepCode(scalar, step, parts(state, index), addend, spare);
        }),
        state.map((local, word) => [
          op.set(local, op.addI32(op.get(local), op.loadI32(op.i32(0), stateAt(word)))),
          op.storeI32(op.i32(0), op.get(local), stateAt(word)),
        ]),
        op.set(at, op.addI32(op.get(at), op.i32(blockBytes))),
        op.againIf(0, op.tee(blocks, op.subI32(op.get(blocks), op.i32(1)))),
      ),
      op.storeI32(op.i32(0), op.get(at), base + pointersAt),
    ],
  };
}

// Sets `words`, four locals, to as many words of four lanes' blocks: turned from a vector for each lane.
function turned(
  pointers: readonly number[],
  offset: number,
  words: readonly number[],
  spares: readonly number[],
): Code {
  const [w0, w1, w2, w3] = words as [number, number, number, number];
  const [low, high, lowAfter] = spares as [number, number, number];
  const shuffled = (left: number, right: number, order: readonly [number, number, number, number]): Code =>
    op.shuffleI32x4(op.get(left), op.get(right), order);
  return [
    words.map((word, lane) => op.set(word, op.loadV128(op.get(pointers[lane]!), offset))),
    op.set(low, shuffled(w0, w1, [0, 4, 1, 5])),
    op.set(high, shuffled(w0, w1, [2, 6, 3, 7])),
    op.set(lowAfter, shuffled(w2, w3, [0, 4, 1, 5])),
    op.set(w3, shuffled(w2, w3, [2, 6, 3, 7])),
    op.set(w0, shuffled(low, lowAfter, [0, 1, 4, 5])),
    op.set(w1, shuffled(low, lowAfter, [2, 3, 6, 7])),
    op.set(w2, shuffled(high, w3, [0, 1, 4, 5])),
    op.set(w3, shuffled(high, w3, [2, 3, 6, 7])),
  ];
}

// four(blocks), eight(blocks): hash so many blocks, at least one, of each of the first lanes.
function lanes(base: number, vectorCount: 1 | 2, exportedAs: string): WasmFunction {
  const blocks = 0;
  const parameters = [ValueType.i32];
  const types: ValueType[] = [];
  const locals = (count: number, type: ValueType): number[] =>
    Array.from({ length: count }, () => parameters.length + types.push(type) - 1);
  const constant = locals(1, ValueType.v128)[0]!;
  const spares = locals(3, ValueType.v128);
  const vectors = Array.from({ length: vectorCount }, (_, index) => ({
    at: base + index * vectorBytes,
    pointers: locals(lanesPerVector, ValueType.i32),
    state: locals(4, ValueType.v128),
    words: locals(16, ValueType.v128),
  }));
  const stateAt = (at: number, word: number): number => at + statesAt + word * rowBytes;
  const pointerAt = (vector: number, lane: number): number =>
    base + pointersAt + (vector * lanesPerVector + lane) * wordBytes;
  // A vector of words is made where the first round comes to it: between its steps there is room for more.
  const turns = (index: number): Code =>
    index % 4 !== 0 || index >= 16
      ? []
      : vectors.map(({ pointers, words }) =>
          turned(pointers, index * wordBytes, words.slice(index, index + 4), spares),
        );
  return {
    exportedAs,
    parameters,
    locals: types,
    body: [
      vectors.map(({ at, pointers, state }, vector) => [
        pointers.map((local, lane) => op.set(local, op.loadI32(op.i32(0), pointerAt(vector, lane)))),
        state.map((local, word) => op.set(local, op.loadV128(op.i32(0), stateAt(at, word)))),
      ]),
      op.loop(
        steps.map((step, index) => [
          turns(index),
          op.set(constant, op.loadV128(op.i32(0), base + constantsAt + index * vectorBytes)),
          vectors.map(({ state, words }) => {
            const addend = op.addI32x4(op.get(constant), op.get(words[step.word]!));
            return stepCode(vector, step, parts(state, index), addend, spares[0]!);
          }),
        ]),
        vectors.map(({ at, pointers, state }) => [
          state.map((local, word) => {
            const sum = op.addI32x4(op.get(local), op.loadV128(op.i32(0), stateAt(at, word)));
            return op.storeV128(op.i32(0), op.tee(local, sum), stateAt(at, word));
          }),
          pointers.map((local) => op.set(local, op.addI32(op.get(local), op.i32(blockBytes)))),
        ]),
        op.againIf(0, op.tee(blocks, op.subI32(op.get(blocks), op.i32(1)))),
      ),
      vectors.map(({ pointers }, vector) =>
        pointers.map((local, lane) => op.storeI32(op.i32(0), op.get(local), pointerAt(vector, lane))),
      ),
    ],
  };
}

/** Each hashes `blocks` (at least one) of its first lanes, all of which have a state and a pointer to that many. */
export interface Md5Program {
  one(blocks: number): void;
  four(blocks: number): void;
  eight(blocks: number): void;
}

/** Puts the constants into the memory at `offset` (16 bytes aligned, `programBytes` long) and makes the program for it. */
export function loadProgram(memory: WebAssembly.Memory, offset: number): Md5Program {
  const constants = new Int32Array(memory.buffer, offset + constantsAt, stepCount * lanesPerVector);
  for (const [index, step] of steps.entries()) constants.fill(step.constant, 4 * index, 4 * index + 4);
  const functions = [one(offset), lanes(offset, 1, 'four'), lanes(offset, 2, 'eight')];
  const shared = memory.buffer instanceof SharedArrayBuffer;
  const module = new WebAssembly.Module(encodeModule(functions, shared));
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Md5Program;
}
