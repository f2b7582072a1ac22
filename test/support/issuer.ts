// The stand-in for Entra ID, for tests and gates that run the whole server.
export { type IssuerClient, startIssuer } from '../../src/identity/issuer.testing.ts';
