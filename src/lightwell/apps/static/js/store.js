// Keeps records in this browser (IndexedDB); where it refuses, in memory until the page closes, and says so.

/** @typedef {"receipts" | "ledgers"} Place */

const DATABASE = "lightwell";
/** Places and the field that names a record in each. @type {Record<Place, string>} */
const KEYS = { receipts: "leaf", ledgers: "origin" };

/** What is kept when nothing lasts. @type {Record<Place, Map<string, any>>} */
const memory = { receipts: new Map(), ledgers: new Map() };
/** @type {Promise<IDBDatabase | null> | null} */
let opened = null;

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const answer = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** @returns {Promise<IDBDatabase | null>} null if this browser keeps nothing for the page */
function database() {
  opened ??= (async () => {
    try {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => {
        for (const [place, keyPath] of Object.entries(KEYS)) request.result.createObjectStore(place, { keyPath });
      };
      const found = await answer(request);
      // Another page of ours with a newer layout must not wait for this one.
      found.onversionchange = () => found.close();
      return found;
    } catch {
      return null;
    }
  })();
  return opened;
}

/** @returns {Promise<boolean>} false if what is kept is gone when the page closes */
export const lasts = async () => (await database()) !== null;

/**
 * Run one transaction; if the browser refuses it (full, closed, taken away), go on in memory with what could be read.
 * @template T
 * @param {Place} place
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => Promise<T>} work on the browser's store
 * @param {(records: Map<string, any>) => T} other the same in memory
 * @returns {Promise<T>}
 */
async function transact(place, mode, work, other) {
  const found = await database();
  if (found) {
    try {
      const transaction = found.transaction(place, mode, { durability: "strict" });
      const done = new Promise((resolve, reject) => {
        transaction.oncomplete = () => resolve(undefined);
        transaction.onabort = () => reject(transaction.error);
      });
      const [result] = await Promise.all([work(transaction.objectStore(place)), done]);
      return result;
    } catch (error) {
      if (!(error instanceof DOMException) && error !== null) throw error;
      await turnToMemory(found);
    }
  }
  return other(memory[place]);
}

/** @param {IDBDatabase} found */
async function turnToMemory(found) {
  opened = Promise.resolve(null);
  for (const place of /** @type {Place[]} */ (Object.keys(KEYS))) {
    try {
      const records = await answer(found.transaction(place).objectStore(place).getAll());
      for (const record of records) memory[place].set(record[KEYS[place]], record);
    } catch {
      // What cannot be read is not there.
    }
  }
}

/** @param {Place} place @param {string} key @returns {Promise<any>} undefined if there is none */
export const read = (place, key) => transact(place, "readonly", (store) => answer(store.get(key)), (records) => structuredClone(records.get(key)));

/** @param {Place} place @returns {Promise<any[]>} in no order */
export const readAll = (place) => transact(place, "readonly", (store) => answer(store.getAll()), (records) => structuredClone([...records.values()]));

/**
 * Change records in one transaction, so that two pages do not undo each other's changes.
 * @param {Place} place
 * @param {Map<string, (old: any) => any>} changes by key, each from the record that stands (undefined if none) to the new
 *   one; undefined leaves it as it is. They may run twice.
 * @returns {Promise<Map<string, any>>} the records as they stand now
 */
export async function changeAll(place, changes) {
  /** @type {Map<string, any>} */
  const now = new Map();
  await transact(place, "readwrite", async (store) => {
    await Promise.all([...changes].map(async ([key, change]) => {
      const old = await answer(store.get(key));
      const record = change(old);
      if (record !== undefined) store.put(record);
      now.set(key, record ?? old);
    }));
  }, (records) => {
    for (const [key, change] of changes) {
      const record = change(structuredClone(records.get(key)));
      if (record !== undefined) records.set(key, record);
      now.set(key, structuredClone(records.get(key)));
    }
  });
  return now;
}

/** @param {Place} place @param {string} key @param {(old: any) => any} change @returns {Promise<any>} the record as it stands now */
export const change = async (place, key, change) => (await changeAll(place, new Map([[key, change]]))).get(key);

/** @param {Place} place @param {string[]} keys */
export const drop = (place, keys) => transact(place, "readwrite", async (store) => {
  await Promise.all(keys.map((key) => answer(store.delete(key))));
}, (records) => {
  for (const key of keys) records.delete(key);
});
