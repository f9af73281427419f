<?php
echo json_encode([ini_get('default_charset'), date_default_timezone_get(), setlocale(LC_ALL, 0), getcwd(), umask(), ob_get_level(), error_get_last(), http_response_code(), count(headers_list())]);
ini_set('default_charset', 'latin1');
date_default_timezone_set('Asia/Tokyo');
chdir('/');
umask(0);
ob_start();
@trigger_error('kept?');
http_response_code(404);
header('X-Left: behind');
