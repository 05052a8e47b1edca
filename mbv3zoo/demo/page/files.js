/** Pictures that are chosen, dropped or pasted. */

/**
 * @param {object} places
 * @param {HTMLInputElement} places.input Where files are chosen.
 * @param {HTMLElement} places.target Is marked while something is dragged over the page.
 * @param {(files: File[]) => void} onFiles
 * @param {(message: string) => void} onNothing Told why something that was dropped or pasted is no picture.
 */
export function takeFiles({ input, target }, onFiles, onNothing) {
  input.addEventListener('change', () => {
    const files = [...input.files];
    if (files.length) onFiles(files);
    // The same file can be chosen again.
    input.value = '';
  });
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].some((type) => type === 'Files' || type === 'text/uri-list');
  addEventListener('dragover', (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    target.classList.add('over');
  });
  addEventListener('dragleave', (event) => event.relatedTarget || target.classList.remove('over'));
  addEventListener('drop', async (event) => {
    target.classList.remove('over');
    if (!carries(event)) return;
    event.preventDefault();
    const files = await filesOf(event.dataTransfer);
    if (files.length) onFiles(files);
    else onNothing('what was dropped has no picture in it; drop picture files, or a folder of them, from this machine');
  });
  addEventListener('paste', (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) {
      event.preventDefault();
      onFiles(files);
    } else if (!event.target.closest?.('input')) {
      onNothing('there is no picture on the clipboard; copy a picture itself, not its address or its page');
    }
  });
}

/** Files that were dropped, those of folders too; of a folder only what is named like a picture. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  // Later than now, the list is empty.
  const files = [...transfer.files];
  if (!entries.some((entry) => entry?.isDirectory)) return files;
  const found = await Promise.all(entries.map((entry) => entry && filesIn(entry, true)));
  return found.flat().filter(Boolean);
}

async function filesIn(entry, named) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return named || file.type.startsWith('image/') ? [file] : [];
  }
  const reader = entry.createReader();
  const entries = [];
  // It gives at most a hundred at a time.
  for (let part; (part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length; ) entries.push(...part);
  entries.sort((a, b) => a.name.localeCompare(b.name));
  return (await Promise.all(entries.map((one) => filesIn(one, false)))).flat();
}
