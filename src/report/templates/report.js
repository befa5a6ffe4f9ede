"use strict";
(function () {
  var bar = document.getElementById("filter");
  var rows = Array.prototype.slice.call(document.querySelectorAll("[data-find]"));
  if (bar) {
    bar.hidden = false;
    var text = bar.querySelector("input[type=search]");
    var boxes = Array.prototype.slice.call(bar.querySelectorAll("input[type=checkbox]"));
    var shown = document.getElementById("shown");
    bar.addEventListener("input", function () {
      var words = text.value.toLowerCase().split(/\s+/);
      var severities = boxes.filter(function (b) { return b.checked; }).map(function (b) { return b.value; });
      var count = 0;
      rows.forEach(function (row) {
        var hay = row.textContent.toLowerCase();
        var fits = severities.indexOf(row.getAttribute("data-find")) >= 0 &&
          words.every(function (word) { return hay.indexOf(word) >= 0; });
        row.hidden = !fits;
        if (fits) { count += 1; }
      });
      shown.textContent = count + " of " + rows.length + " shown";
    });
  }
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (d) { d.open = true; });
    rows.forEach(function (row) { row.hidden = false; });
  });
})();
