import java.io.ByteArrayInputStream;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** One handshake for each line "port host roots.pem" of a file; a line "taken" or "refused: why" for each. */
public class TlsClient {
    public static void main(String[] arguments) throws Exception {
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] words = line.split(" ", 3);
            try {
                handshake(Integer.parseInt(words[0]), words[1], Files.readAllBytes(Path.of(words[2])));
                System.out.println("taken");
            } catch (Exception error) {
                System.out.println(("refused: " + error).replace('\n', ' '));
            }
        }
    }

    private static void handshake(int port, String host, byte[] roots) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        int number = 0;
        ByteArrayInputStream stream = new ByteArrayInputStream(roots);
        for (Certificate root : CertificateFactory.getInstance("X.509").generateCertificates(stream)) {
            store.setCertificateEntry("root" + number++, root);
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, factory.getTrustManagers(), null);
        try (Socket plain = new Socket("127.0.0.1", port)) {
            plain.setSoTimeout(10000);
            SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(plain, host, port, true);
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            socket.getOutputStream().write("hello".getBytes());
            socket.getInputStream().read();
            socket.close();
        }
    }
}
