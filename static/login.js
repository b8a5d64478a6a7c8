// What stands behind the # of the address, such as the input of a predict page, is to be there after the login as well.

const form = document.getElementById("login");
form.action += location.hash;
