(function () {
  var list = document.getElementById("messages");
  var form = document.getElementById("say");
  var text = document.getElementById("text");
  var scheme = location.protocol === "https:" ? "wss://" : "ws://";
  var socket = new WebSocket(scheme + location.host + "/chat/socket");
  var numbers = [];

  socket.onopen = function () {
    document.body.className = "connected";
  };
  socket.onclose = function () {
    document.body.className = "";
  };
  socket.onmessage = function (event) {
    var message = JSON.parse(event.data);
    if (numbers.indexOf(message.id) >= 0) {
      return;
    }
    // Whoever enters may be told what is being said before what has been said.
    numbers.push(message.id);
    numbers.sort(function (a, b) { return a - b; });
    var next = list.children[numbers.indexOf(message.id)];
    if (next) {
      next.insertAdjacentHTML("beforebegin", message.html);
    } else {
      list.insertAdjacentHTML("beforeend", message.html);
    }
    list.scrollTop = list.scrollHeight;
  };
  form.onsubmit = function (event) {
    event.preventDefault();
    socket.send(text.value);
    text.value = "";
  };
})();
