// Two browsers talk to one another through the chat at the address given. Says "done" when they could.
const {chromium} = require('playwright-core');

(async () => {
  const [address, executablePath] = process.argv.slice(2);
  const browser = await chromium.launch({executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']});
  try {
    const pages = [];
    for (let count = 0; count < 2; ++count) {
      const page = await (await browser.newContext()).newPage();
      page.on('pageerror', (error) => console.error(String(error)));
      await page.goto(address);
      await page.getByText('websocket', {exact: true}).waitFor();
      pages.push(page);
    }
    for (const [from, to, text] of [[0, 1, 'hello from the first'], [1, 0, 'hello from the second'], [0, 1, 'x'.repeat(5000)]]) {
      await pages[from].getByRole('textbox').fill(text);
      await pages[from].getByRole('button').click();
      await pages[to].getByText(text, {exact: true}).waitFor();
    }
    await pages[0].getByText('delivered').first().waitFor();
    console.log('done');
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
