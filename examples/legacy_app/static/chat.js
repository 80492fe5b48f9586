(function () {
  var list = document.getElementById("messages");
  var form = document.getElementById("say");
  var text = document.getElementById("text");
  var scheme = location.protocol === "https:" ? "wss://" : "ws://";
  var socket = new WebSocket(scheme + location.host + "/chat/socket");

  socket.onopen = function () {
    document.body.className = "connected";
  };
  socket.onclose = function () {
    document.body.className = "";
  };
  socket.onmessage = function (event) {
    var message = JSON.parse(event.data);
    if (document.getElementById("message-" + message.id)) {
      return;
    }
    list.insertAdjacentHTML("beforeend", message.html);
    list.scrollTop = list.scrollHeight;
  };
  form.onsubmit = function (event) {
    event.preventDefault();
    socket.send(text.value);
    text.value = "";
  };
})();
