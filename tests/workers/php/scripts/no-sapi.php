<?php
try {
    frankenphp_handle_request(fn() => null);
} catch (RuntimeException $e) {
    echo $e->getMessage();
}
