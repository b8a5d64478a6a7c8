// The API reference: Swagger UI over this server's own document, and over nothing else.

const reference = document.getElementById("reference");

SwaggerUIBundle({
  url: reference.dataset.document,
  domNode: reference,
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
});
