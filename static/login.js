// Keeps the fragment of the address, such as the input of a predict page, after the login.

const form = document.getElementById("login");
form.action += location.hash;
