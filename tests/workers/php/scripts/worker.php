<?php
// Worker mode for scripts that know nothing of it: each request includes its own.
$boot = uniqid();
$requests = 0;
while (frankenphp_handle_request(function () use (&$requests, $boot) {
    header('X-Boot: ' . $boot);
    header('X-Requests: ' . ++$requests);
    chdir(dirname($_SERVER['SCRIPT_FILENAME']));
    include $_SERVER['SCRIPT_FILENAME'];
})) {
}
