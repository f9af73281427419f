<?php
register_shutdown_function(fn() => error_log('shutdown functions run'));
$all = [];
while (true) {
    $all[] = str_repeat('x', 1 << 20);
}
