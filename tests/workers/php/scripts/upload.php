<?php
$file = $_FILES['file'];
header('X-Temporary: ' . $file['tmp_name']);
echo $file['error'] === 0 && is_uploaded_file($file['tmp_name']) ? 'Upload OK ' : "Failed: {$file['error']} ", filesize($file['tmp_name']), ' ', md5_file($file['tmp_name']), ' ', $_POST['note'] ?? '';
