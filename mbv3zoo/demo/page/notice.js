// A classic script: modules, of which the rest of the page is made, do not load from file://.
(function () {
  function tell(text) {
    var notice = document.getElementById('notice');
    notice.textContent = text;
    notice.hidden = false;
    document.documentElement.className = 'off';
  }
  function whenReady(action) {
    if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', action);
    else action();
  }
  var fromDisk = location.protocol === 'file:';
  if (fromDisk) {
    whenReady(function () {
      tell('Browsers run this page from a server only; serve this folder with "python -m http.server" and open http://localhost:8000/.');
    });
  }
  // A script that does not load tells no script but this one.
  addEventListener('error', function (event) {
    if (fromDisk || !event.target || event.target.tagName !== 'SCRIPT') return;
    whenReady(function () {
      tell('A script of this page did not load; copy the whole folder that mbv3zoo demo wrote, and use a server that sends .js and .mjs files as text/javascript.');
    });
  }, true);
})();
