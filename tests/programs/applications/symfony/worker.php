<?php
// A Symfony application that is booted once; index.php is the same without the server's worker mode.

use Symfony\Component\HttpFoundation\Request;

$kernel = require __DIR__ . '/boot.php';

while (fivefold_handle_request(function () use ($kernel) {
    $request = Request::createFromGlobals();
    $response = $kernel->handle($request);
    $response->send();
    $kernel->terminate($request, $response);
})) {
}
