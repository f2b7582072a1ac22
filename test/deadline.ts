// Loaded before every test file: ends one that hangs, or that left something open, and says so.

// `node --test` has a limit for a test only; a file whose tests are done but whose timers run on would wait for ever.
const limitMs = Number(process.env.TEST_FILE_TIMEOUT_MS ?? 0);

if (process.env.NODE_TEST_CONTEXT !== undefined && limitMs > 0) {
  setTimeout(() => {
    const open = process.getActiveResourcesInfo().join(', ');
    console.error(`${process.argv[1]}: not finished after ${limitMs / 1000} s (open: ${open})`);
    process.exit(1);
  }, limitMs).unref();
}
