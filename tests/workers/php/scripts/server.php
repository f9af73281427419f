<?php
foreach (explode(' ', $_GET['names'] ?? 'PHP_SELF SCRIPT_NAME PATH_INFO PATH_TRANSLATED REQUEST_URI PHP_AUTH_USER PHP_AUTH_PW REMOTE_USER HTTP_AUTHORIZATION') as $name) {
    echo $name, '=', var_export($_SERVER[$name] ?? null, true), "\n";
}
