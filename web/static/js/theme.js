// Runs before the first paint, so a chosen theme never flashes. Nothing stored means: as the system says.
(() => {
  document.documentElement.dataset.script = ''; // what needs script may be shown
  try {
    const theme = localStorage.getItem('theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch { /* storage may be blocked; the system's theme stays */ }
})();
