<?php
$status = opcache_get_status(false);
echo json_encode([$status['opcache_enabled'], $status['opcache_statistics']['hits'] > 0, $status['opcache_statistics']['num_cached_scripts'], PHP_SAPI, getmypid()]);
